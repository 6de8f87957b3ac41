"""The public test kit: a real identity server that fails on demand."""

from ..server import Settings
from .faults import Held, RecordedRequest, SentReply
from .server import IdentityServer

__all__ = ["Held", "IdentityServer", "RecordedRequest", "SentReply", "Settings"]
