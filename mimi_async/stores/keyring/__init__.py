"""Records in the operating system's keyring, and what is needed to believe it when it says "not found"."""

from .store import KeyringStore

__all__ = ["KeyringStore"]
