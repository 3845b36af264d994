"""The peer's own API suite against our service behind a real Keystone."""
