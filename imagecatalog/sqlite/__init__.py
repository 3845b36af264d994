"""Django's database backend for SQLite, which notices if its file is removed or replaced."""
