"""A service of many equal processes: the partner's table in PostgreSQL, and a worker. Code to copy."""
