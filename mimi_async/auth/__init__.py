"""Accounts: the controller, the state and the operations behind it, and the background tasks."""
