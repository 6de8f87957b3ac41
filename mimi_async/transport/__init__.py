"""One aiohttp session, one tenacity policy and one coroutine: `send(request) -> reply`.

The only package that uses aiohttp as a client. An exception of aiohttp does not leave it, nor is it the cause or the
context of one that does.
"""

from .client import Transport
from .route import read_proxy

__all__ = ["Transport", "read_proxy"]
