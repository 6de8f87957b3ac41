"""A partner with accounts of its own and two products, "player" and "tv", that share one hearing profile per account.

`accounts` is the partner's own table of accounts, `product` is how a product uses the SDK, and `start_over` is what it
does when a person gives up an id that the server rejects. `site` is a product as a web service, with the partner's own
sign-in (`passwords`, `sessions`) and the pages of Mimi at /mimi/. `make demo` and `make web` run it.
"""
