"""A session of our own, also over somebody else's connector."""

import asyncio
from typing import Final

import aiohttp
from multidict import istr

from ..errors import ConfigurationError
from .failures import BEFORE_SENDING
from .response import Response

CONNECT_SECONDS: Final = 5.0

_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None,  # `patience` sees to it
    sock_connect=CONNECT_SECONDS,  # not `connect`, which also counts the wait for the pool, and arms a timer each time
    ceil_threshold=CONNECT_SECONDS,  # beyond it aiohttp rounds up to whole seconds
)

_STANDING_HEADERS: Final = {
    istr("Accept"): "application/json, application/problem+json",
    istr("Accept-Encoding"): "identity",
    istr("User-Agent"): "mimi-async/0.1.0",
}


def opened(given: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    """Return a session that keeps no cookies and reads no environment, with a pool of its own or that of `given`.

    Closing it leaves the pool of `given` open.

    Raises:
        ConfigurationError: `given` is closed, or belongs to another event loop.
    """
    connector = aiohttp.TCPConnector() if given is None else given.connector
    if connector is None or connector.closed:
        msg = "the injected ClientSession is closed: keep it open until the core was left"
        raise ConfigurationError(msg)
    try:
        return aiohttp.ClientSession(
            loop=asyncio.get_running_loop(),  # or it would take the connector's, unasked
            connector=connector,
            connector_owner=given is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers=_STANDING_HEADERS,
            timeout=_TIMEOUT,
            response_class=Response,
        )
    except RuntimeError:
        msg = "the injected ClientSession belongs to another event loop: make it in the one that enters the core"
    raise ConfigurationError(msg)


def places(session: aiohttp.ClientSession) -> int:
    """Return how many requests the pool of a session carries at once; its zero stands for "any number"."""
    connector = session.connector
    limits = (connector.limit, connector.limit_per_host) if connector else ()
    return min((limit for limit in limits if limit), default=2**31)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET or a DELETE a second time by itself: the policy counts the attempts."""
    try:
        return await handler(request)
    except BEFORE_SENDING:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        msg = "the connection ended"
    raise aiohttp.ClientConnectionError(msg)


ONCE: Final = (_once,)
"""The middlewares of a request that aiohttp might repeat."""
