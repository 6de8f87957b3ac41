"""Where the ids are kept."""

from .base import DamagedIdentity, IdentityStore, State, StoredIdentity

__all__ = ["DamagedIdentity", "IdentityStore", "State", "StoredIdentity"]
