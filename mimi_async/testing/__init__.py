"""The public test kit: a real identity server that fails on demand, and what a store must keep to."""

from ..server import Settings
from .faults import Held, RecordedRequest, SentReply
from .server import IdentityServer
from .store_contract import StoreContract

__all__ = ["Held", "IdentityServer", "RecordedRequest", "SentReply", "Settings", "StoreContract"]
