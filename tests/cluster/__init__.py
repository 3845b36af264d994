"""Several services behind HAProxy on one PostgreSQL, or on one that Patroni fails over."""
