"""Django's database backend for PostgreSQL, with a connection pool that copes with outages."""
