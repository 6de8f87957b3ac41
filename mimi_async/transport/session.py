"""A session of our own, also over somebody else's connector."""

import asyncio

import aiohttp

from ..errors import ConfigurationError


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
        )
    except RuntimeError:
        msg = "the injected ClientSession belongs to another event loop: make it in the one that enters the core"
    raise ConfigurationError(msg)


def places(session: aiohttp.ClientSession) -> int:
    """Return how many requests the pool of a session carries at once; its zero stands for "any number"."""
    connector = session.connector
    limits = (connector.limit, connector.limit_per_host) if connector else ()
    return min((limit for limit in limits if limit), default=2**31)
