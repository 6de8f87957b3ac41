"""A partner with accounts of its own and two products, "player" and "tv", that share one hearing profile per account.

`accounts` is the partner's own table of accounts, `product` is how a product uses the SDK: code to copy. `launch` runs
one launch of a product as a process. `walkthrough`, with `stage` and `contract`, plays eight steps with real processes
and checks what the SDK promises: `python -m examples.partner_service`, or `make demo`.

`site` is a product as a web service, with the sign-in of the partner's own (`passwords`, `sessions`) and the pages of
Mimi at /mimi/; `start_over` is what it does without a rejected id. `web` runs both products, to be tried in a browser:
`python -m examples.partner_service.web`, or `make web`; `make web ARGS="--data web-data"` keeps the data.
"""
