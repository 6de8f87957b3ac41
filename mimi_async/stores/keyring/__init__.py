"""Records in a SQLite file, sealed with one key that the operating system's keyring holds."""

from .store import KeyringStore

__all__ = ["KeyringStore"]
