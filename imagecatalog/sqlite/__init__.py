"""Django's database backend for SQLite, which notices that its file was removed or replaced."""
