"""The public test kit: a real identity server with fault injection, and the contract tests of stores."""

from ..server import Settings
from .faults import HeldRequests, RecordedRequest, SentReply
from .server import IdentityServer
from .store_contract import StoreContract

__all__ = ["HeldRequests", "IdentityServer", "RecordedRequest", "SentReply", "Settings", "StoreContract"]
