"""One exchange over one connection of the pool, and nothing around it.

What aiohttp's session would do besides is not wanted here and costs a fifth of a loopback request: redirects, cookies,
proxies of the environment, a second sending of a GET. So its parts are put together by hand: `ClientRequest`, the
connector, `ClientResponse`.
"""

import asyncio
from typing import Final, cast

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, istr

from .response import Response

CONNECT_SECONDS: Final = 5.0

TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None,  # `patience` sees to it
    sock_connect=CONNECT_SECONDS,  # not `connect`, which also counts the wait for the pool, and arms a timer each time
    ceil_threshold=CONNECT_SECONDS,  # beyond it aiohttp rounds up to whole seconds
)

_STANDING_HEADERS: Final = {
    istr("Accept"): "application/json, application/problem+json",
    istr("Accept-Encoding"): "identity",
    istr("User-Agent"): "mimi-async/0.1.0",
}


async def exchanged(
    session: aiohttp.ClientSession, method: str, url: yarl.URL, headers: dict[istr, str], body: bytes | None
) -> Response:
    """Send a request, once, and return the response when its header has come.

    Raises:
        aiohttp.ClientError: As a session would raise it.
        OSError: The connection has failed.
    """
    request = aiohttp.ClientRequest(
        method,
        url,
        headers=CIMultiDict(_STANDING_HEADERS | headers),
        data=None if body is None else aiohttp.BytesPayload(body, content_type="application/json"),
        loop=asyncio.get_running_loop(),
        response_class=Response,
        session=session,
    )
    connector = cast("aiohttp.BaseConnector", session.connector)
    try:
        connection = await connector.connect(request, [], TIMEOUT)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError from error
    try:
        protocol = cast("ResponseHandler", connection.protocol)
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        response = cast("Response", await request.send(connection))
    except BaseException:
        connection.close()
        raise
    try:
        response.carrier = connection.transport
        await response.start(connection)
    except BaseException:
        response.close()
        raise
    return response
