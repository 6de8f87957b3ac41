"""A partner with accounts of its own and two products, "player" and "tv", that share one hearing profile per account.

`accounts` is the partner's own table of accounts, `product` is how a product uses the SDK: code to copy. `launch` runs
one launch of a product as a process. `walkthrough`, with `stage` and `contract`, plays eight steps with real processes
and checks what the SDK promises: `python -m examples.partner_service`.
"""
