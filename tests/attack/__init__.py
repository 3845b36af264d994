"""The attacks behind ``make attack``: what one client can do to a service that others use."""
