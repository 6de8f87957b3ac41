"""The transport itself."""

import asyncio
import base64
import random
from collections.abc import Awaitable
from typing import Final, Self, cast

import aiohttp
import yarl
from multidict import istr

from .. import wire
from ..errors import ConfigurationError, MimiError, NotStartedError
from ..identity import ClientCredentials
from . import address
from .call import Call
from .failures import BEFORE_SENDING, translated
from .patience import Patience
from .response import Response, accepted, read
from .retries import WORTH_A_RETRY, Retries, Sleep, Uniform
from .session import ONCE, opened, places

CALL_SECONDS: Final = 30.0

_AUTHORIZATION: Final = istr("Authorization")
_CONTENT_TYPE: Final = istr("Content-Type")
_EXCHANGE: Final = istr(wire.EXCHANGE)
_IDEMPOTENCY_KEY: Final = istr(wire.IDEMPOTENCY_KEY)
_REQUEST_ID: Final = istr(wire.REQUEST_ID)


class Transport:
    """Sends the requests of `wire` to one server, as one client.

    An async context manager, with one life, in one event loop. Nothing is opened before it is entered. It closes what
    it opens; of an injected session only the connector is used, and neither is ever closed. Its `send` may be called
    by any number of tasks at once.

    Args:
        server: `https://…`, or `http://…` on this machine only.
        credentials: Sent as HTTP Basic with each request that has no token.
        session: Gives its connector: its pool, its resolver, its TLS settings. Its cookies, headers, proxies and
            middlewares stay out.
        sleep: Waits between two attempts.
        uniform: Draws the jitter of that wait.

    Raises:
        ConfigurationError: The address of the server can't be used.
    """

    def __init__(
        self,
        server: str,
        credentials: ClientCredentials,
        *,
        session: aiohttp.ClientSession | None = None,
        sleep: Sleep = asyncio.sleep,
        uniform: Uniform = random.uniform,
    ) -> None:
        self._server = address.checked(server)
        self._basic = _basic(credentials)
        self._given = session
        self._retries = Retries(sleep, uniform)
        self._urls: dict[str, yarl.URL] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore()
        self._patience = Patience()

    def __repr__(self) -> str:
        return f"Transport({self._server.base!r})"

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            msg = "a transport has one life: make another"
            raise ConfigurationError(msg)
        loop = asyncio.get_running_loop()
        self._session = opened(self._given)
        self._loop = loop
        self._places = asyncio.Semaphore(places(self._session))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: wire.Request) -> wire.Reply:
        """Ask the server, up to three times, and return its answer whatever its status, save one that is busy.

        Ends by `request.deadline`, or 30 s from now. A cancellation goes through at once.

        Raises:
            ServerUnreachableError: There was no connection, or it ended too early.
            ServerTimeoutError: There was no answer in time.
            ServerBusyError: 408, 425, 429 or 5xx to the last attempt, or a Retry-After beyond the deadline.
            InsecureServerError: TLS could not be verified.
            ProtocolError: The answer is no HTTP, too large, encoded, a redirect, or another exchange's.
            NotStartedError: The transport was not entered yet, or was left.
            ConfigurationError: Another event loop, an injected session that was closed, or a host no network knows.
        """
        deadline = request.deadline
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        call = Call(request, wire.fresh_exchange(), deadline)
        try:
            reply = await self._attempt(call)
        except WORTH_A_RETRY as error:
            failure = error
        else:
            self._retries.earn()
            return reply
        reply = await self._retries.after(failure, self._attempt, call)
        self._retries.earn()
        return reply

    async def _attempt(self, call: Call) -> wire.Reply:
        """Ask once. What is raised is raised where no except block becomes its context."""
        if self._places.locked():
            await self._wait_for_place(call)
        else:
            await self._places.acquire()
        response, exchange, call.sent = None, wire.fresh_exchange(), True
        try:
            with self._patience.limit(call):
                response = cast("Response", await self._asked(self._open_session(), call, exchange))
                reply = await read(response, call)
            wire.check_exchange(reply, exchange)
        except MimiError as error:
            failure = error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            call.sent = not isinstance(error, BEFORE_SENDING)
            failure = translated(error, self._server.name, call.request_id)
        except BaseException:
            if response is not None:
                response.drop()
            raise
        else:
            return accepted(reply, self._server.name)
        finally:
            self._places.release()
        if response is not None:
            response.drop()
        raise failure

    async def _wait_for_place(self, call: Call) -> None:
        """Wait for one of the pool's places, which are handed out here so that no attempt's time is spent on it."""
        self._open_session()
        try:
            async with asyncio.timeout_at(call.deadline):
                await self._places.acquire()
        except TimeoutError:
            late = call.late()
        else:
            return
        raise late

    def _asked(self, session: aiohttp.ClientSession, call: Call, exchange: str) -> Awaitable[aiohttp.ClientResponse]:
        """Begin to ask. A plain function: each frame between the caller and the socket costs at each wake-up."""
        request = call.request
        headers = {
            _AUTHORIZATION: self._basic if request.token is None else f"Bearer {request.token.reveal()}",
            _REQUEST_ID: call.request_id,
            _EXCHANGE: exchange,
        }
        if request.idempotency_key is not None:
            headers[_IDEMPOTENCY_KEY] = request.idempotency_key.reveal()
        return session.request(
            request.method,
            self._url(request.path),
            data=None if request.body is None else aiohttp.BytesPayload(request.body, content_type="application/json"),
            headers=headers,
            allow_redirects=False,
            middlewares=None if request.method == "POST" else ONCE,
        )

    def _url(self, path: str) -> yarl.URL:
        """Return the URL of a path; those without a query are few, and kept."""
        url = self._urls.get(path)
        if url is None:
            url = self._server.url(path)
            if "?" not in path:
                self._urls[path] = url
        return url

    def _open_session(self) -> aiohttp.ClientSession:
        session = self._session
        if session is None:
            when = "was left: make another" if self._loop else "was not entered yet: enter it first, with `async with`"
            msg = f"the transport {when}"
            raise NotStartedError(msg)
        if self._loop is not asyncio.get_running_loop():
            msg = "the transport was entered in another event loop, or in a process that has forked: use one for each"
            raise ConfigurationError(msg)
        if session.closed:
            msg = "the injected ClientSession was closed meanwhile: keep it open until the core was left"
            raise ConfigurationError(msg)
        return session


def _basic(credentials: ClientCredentials) -> str:
    """The Authorization header of RFC 7617, in UTF-8."""
    text = f"{credentials.client_id}:{credentials.secret.reveal()}"
    return "Basic " + base64.b64encode(text.encode()).decode()
