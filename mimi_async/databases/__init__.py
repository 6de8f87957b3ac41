"""Drivers that the stores and the server share: SQLite, PostgreSQL, private files, one event loop and process."""
