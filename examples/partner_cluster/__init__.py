"""A partner's service on many processes, with PostgreSQL beneath: `make demo-cluster`."""
