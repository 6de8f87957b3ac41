"""The HTTP interface of the identity server."""
