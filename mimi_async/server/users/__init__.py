"""The users of the identity server, in SQLite or PostgreSQL."""
