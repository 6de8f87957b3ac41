"""One aiohttp session, one tenacity policy and one coroutine: `send(request) -> reply`.

The one room that knows aiohttp as a client: none of its exceptions leaves it, nor hangs on one of ours.
"""

from .client import Transport

__all__ = ["Transport"]
