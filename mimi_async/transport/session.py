"""The session of the transport, with a connector of its own or the connector of an injected session."""

import asyncio
from typing import Final

import aiohttp
from multidict import istr

from ..errors import ConfigurationError
from .errors import BEFORE_SENDING
from .response import Response
from .route import Proxy, Route

_STANDING_HEADERS: Final = {
    istr("Accept"): "application/json, application/problem+json",
    istr("Accept-Encoding"): "identity",
    istr("User-Agent"): "mimi-async/0.1.0",
}


def validate_session(given: object, proxy: Proxy | None) -> None:
    """Refuse an injected session whose own proxy or middlewares would be dropped silently, unless `proxy` is given.

    Only the connector of a session is used.

    Raises:
        ConfigurationError: It is not a session, or has a proxy, `trust_env=True` or middlewares.
    """
    if given is None:
        return
    if not isinstance(given, aiohttp.ClientSession):
        msg = f"session is an aiohttp.ClientSession, or None, not a {type(given).__name__}"
        raise ConfigurationError(msg)
    settings = {
        "proxy=": getattr(given, "_default_proxy", None) is not None,
        "proxy_auth=": getattr(given, "_default_proxy_auth", None) is not None,
        "trust_env=True": given.trust_env,
        "middlewares=": bool(getattr(given, "_middlewares", ())),
        "a Proxy-Authorization header": "Proxy-Authorization" in given.headers,
    }
    dropped = [name for name, is_set in settings.items() if is_set]
    if dropped and proxy is None:
        msg = (
            f"the injected ClientSession has {' and '.join(dropped)}, and only its connector would be used: name the"
            " proxy by MimiCore(proxy='http://proxy.example:3128'), or give a session without it"
        )
        raise ConfigurationError(msg)


def open_session(given: aiohttp.ClientSession | None, route: Route, *, connect: float) -> aiohttp.ClientSession:
    """Open a session that keeps no cookies and reads no environment, with a connector of its own or that of `given`.

    Closing it leaves the connector of `given` open. Without TLS to the server there is no tunnel, and each request
    carries the credentials of the proxy.

    Args:
        given: A session of the host. Only its connector is used.
        route: The server, and the proxy that carries all requests.
        connect: Seconds that connecting may take.

    Raises:
        ConfigurationError: `given` is closed, or belongs to another event loop.
    """
    connector = aiohttp.TCPConnector() if given is None else given.connector
    if connector is None or connector.closed:
        msg = "the injected ClientSession is closed: keep it open until the core is left"
        raise ConfigurationError(msg)
    try:
        return aiohttp.ClientSession(
            loop=asyncio.get_running_loop(),  # the default is the loop of the connector
            connector=connector,
            connector_owner=given is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers=_STANDING_HEADERS if route.is_encrypted else _STANDING_HEADERS | route.proxy_headers,
            proxy=None if route.proxy is None else route.proxy.url,
            timeout=aiohttp.ClientTimeout(
                total=None,  # the client limits the attempt
                sock_connect=connect,  # not `connect`, which also counts the wait for the pool, and arms a timer each
                ceil_threshold=connect,  # beyond it aiohttp rounds up to whole seconds
            ),
            response_class=Response,
        )
    except RuntimeError:
        msg = "the injected ClientSession belongs to another event loop: create it in the loop that enters the core"
    raise ConfigurationError(msg)


def pool_size(session: aiohttp.ClientSession) -> int:
    """Return how many requests the pool of a session carries at once; zero limits mean any number."""
    connector = session.connector
    limits = (connector.limit, connector.limit_per_host) if connector else ()
    return min((limit for limit in limits if limit), default=2**31)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET or a DELETE: the retry policy counts the attempts."""
    try:
        return await handler(request)
    except BEFORE_SENDING:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        msg = "the connection ended"
    raise aiohttp.ClientConnectionError(msg)


ONCE: Final = (_once,)
"""The middlewares of a request that aiohttp might repeat."""
