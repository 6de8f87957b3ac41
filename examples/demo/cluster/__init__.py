"""A partner's service of many processes on PostgreSQL: `make demo-cluster`."""
