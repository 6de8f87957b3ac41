"""How a host uses mimi_async: a single-user app, and a partner with many accounts and two products."""
