"""The demos: real processes that play and check what `partner_service` and `many_machines` do. Nothing here is copied.

`make demo` plays eight steps of a partner with two products and checks each promise (`walkthrough`, `steps`; a step
runs `launch`, one launch of a product). `make web` runs both products for a browser (`web`). `make demo-cluster`
restarts identity servers and workers on one PostgreSQL under load (`cluster`).
"""
