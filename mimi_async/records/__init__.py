"""Records: the store and server calls of one operation, and the resolver that does what a record says."""
