"""The transport: `send(request) -> reply` over one aiohttp session."""

import asyncio
import logging
import random
from collections.abc import Awaitable
from typing import Final, Self, cast

import aiohttp
from multidict import istr

from .. import wire
from ..databases.affinity import LoopAffinity
from ..errors import ConfigurationError, MimiError, NotStartedError
from ..identity import ClientCredentials
from ..timeouts import Timeouts
from .errors import BEFORE_SENDING, translate_error
from .response import Response, check_status, read_reply
from .retries import RETRYABLE, RetryPolicy, Sleep, Uniform
from .route import Proxy, Route, encode_basic, join_url, parse_route
from .session import ONCE, open_session, pool_size, validate_session
from .timeouts import AttemptTimeout, Call

_log = logging.getLogger("mimi_async.transport")

_AUTHORIZATION: Final = istr("Authorization")
_EXCHANGE: Final = istr(wire.EXCHANGE)
_IDEMPOTENCY_KEY: Final = istr(wire.IDEMPOTENCY_KEY)
_IF_MATCH: Final = istr("If-Match")
_IF_NONE_MATCH: Final = istr("If-None-Match")
_REQUEST_ID: Final = istr(wire.REQUEST_ID)


class Transport:
    """Sends the requests of `wire` to one server, as one client.

    An async context manager that is entered once, in one event loop. The constructor opens nothing. It closes what it
    opens; of an injected session only the connector is used, and neither is ever closed. `send` may be called by any
    number of tasks at once.

    Args:
        server: `https://…`, or `http://…` on this machine only.
        credentials: Sent as HTTP Basic with each request that has no token.
        session: Gives its connector: its pool, its resolver, its TLS settings. Its cookies and headers are not used. A
            session with a proxy, middlewares or `trust_env=True` is refused, unless `proxy` is given.
        proxy: The result of `read_proxy` for the HTTP proxy of all requests. The environment is never read for it.
        timeouts: The limits of a call, an attempt and connecting, and the waits between attempts.
        sleep: Waits between two attempts.
        uniform: Draws the jitter of that wait.

    Raises:
        ConfigurationError: The address of the server, the proxy or the session can't be used.
    """

    def __init__(
        self,
        server: str | None,
        credentials: ClientCredentials | None,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: Proxy | ConfigurationError | None = None,
        timeouts: Timeouts | None = None,
        sleep: Sleep = asyncio.sleep,
        uniform: Uniform = random.uniform,
    ) -> None:
        if server is None or not isinstance(credentials, ClientCredentials):
            msg = "name the identity server and the client credentials: MimiCore(ClientCredentials(…), server='https://…')"
            raise ConfigurationError(msg)
        if isinstance(proxy, ConfigurationError):
            raise proxy
        validate_session(session, proxy)
        self._route = parse_route(server, proxy)
        self._tunnel_headers = self._route.proxy_headers or None if self._route.is_encrypted else None
        self._basic = encode_basic(f"{credentials.client_id}:{credentials.secret.reveal()}").reveal()
        self._given = session
        self._timeouts = timeouts or Timeouts()
        self._retries = RetryPolicy(self._timeouts, sleep, uniform)
        self._affinity = LoopAffinity("the transport")
        self._session: aiohttp.ClientSession | None = None
        self._pool = asyncio.Semaphore()

    def __repr__(self) -> str:
        route: Route | None = self.__dict__.get("_route")  # it is missing if the server was refused
        return f"Transport({route and route.base!r})"

    async def __aenter__(self) -> Self:
        if self._affinity.entries:
            msg = "a transport can be entered once: make another"
            raise ConfigurationError(msg)
        self._session = open_session(self._given, self._route, connect=self._timeouts.connect)
        if variable := self._route.ignored_variable:
            message = "transport: %s is set and not used: give MimiCore(proxy=os.environ[%r]) to use it"
            _log.warning(message, variable, variable)
        self._affinity.enter()
        self._pool = asyncio.Semaphore(pool_size(self._session))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: wire.Request) -> wire.Reply:
        """Send a request, up to three times, and return the reply, whatever its status, except that of a busy server.

        Ends by `request.deadline`, or `Timeouts.call` seconds from now. A cancellation passes at once.

        Raises:
            ServerUnreachableError: There was no connection, or it ended too early.
            ServerTimeoutError: There was no reply in time.
            ServerBusyError: 408, 425, 429 or 5xx at the last attempt, or a Retry-After beyond the deadline.
            InsecureServerError: TLS could not be verified.
            ProtocolError: The reply is not HTTP, too large, encoded, a redirect, or that of another exchange.
            NotStartedError: The transport was not entered yet, or was left.
            ConfigurationError: Another event loop, an injected session that was closed, or an invalid host name.
        """
        deadline = request.deadline
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self._timeouts.call
        call = Call(request, wire.new_exchange(), deadline)
        try:
            reply = await self._attempt(call)
        except RETRYABLE as error:
            failure = error
        else:
            self._retries.earn()
            return reply
        reply = await self._retries.retry(failure, self._attempt, call)
        self._retries.earn()
        return reply

    async def _attempt(self, call: Call) -> wire.Reply:
        """Make one attempt. Errors are raised outside the except blocks, so that they have no context."""
        if self._pool.locked():
            await self._wait_for_pool(call)
        else:
            await self._pool.acquire()
        response, exchange, call.sent = None, wire.new_exchange(), True
        try:
            with AttemptTimeout(call, self._timeouts.attempt):
                response = cast("Response", await self._request(self._require_session(), call, exchange))
                reply = await read_reply(response, call)
            wire.check_exchange(reply, exchange)
        except MimiError as error:
            failure = error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            call.sent = not isinstance(error, BEFORE_SENDING)
            failure = translate_error(error, self._route, call.request_id)
        except BaseException:
            if response is not None:
                response.drop()
            raise
        else:
            return check_status(reply, call.request, self._route.name)
        finally:
            self._pool.release()
        if response is not None:
            response.drop()
        raise failure

    async def _wait_for_pool(self, call: Call) -> None:
        """Wait for a connection of the pool: here, not in aiohttp, so that an attempt does not pay for it."""
        self._require_session()
        try:
            async with asyncio.timeout_at(call.deadline):
                await self._pool.acquire()
        except TimeoutError:
            late = call.deadline_error()
        else:
            return
        raise late

    def _request(self, session: aiohttp.ClientSession, call: Call, exchange: str) -> Awaitable[aiohttp.ClientResponse]:
        """Start a request. A plain function: each coroutine between caller and socket costs time at each wake-up."""
        request = call.request
        headers = {
            _AUTHORIZATION: self._basic if request.token is None else f"Bearer {request.token.reveal()}",
            _REQUEST_ID: call.request_id,
            _EXCHANGE: exchange,
        }
        if request.idempotency_key is not None:
            headers[_IDEMPOTENCY_KEY] = request.idempotency_key.reveal()
        if request.if_match is not None:
            headers[_IF_MATCH] = request.if_match
        if request.if_none_match is not None:
            headers[_IF_NONE_MATCH] = request.if_none_match
        return session.request(
            request.method,
            join_url(self._route.base, request.path),
            data=None if request.body is None else aiohttp.BytesPayload(request.body, content_type="application/json"),
            headers=headers,
            allow_redirects=False,
            proxy_headers=self._tunnel_headers,
            middlewares=None if request.method == "POST" else ONCE,
        )

    def _require_session(self) -> aiohttp.ClientSession:
        session = self._session
        if session is None:
            not_yet = "was not entered yet: enter it first, with `async with`"
            msg = f"the transport {'was left: make another' if self._affinity.entries else not_yet}"
            raise NotStartedError(msg)
        self._affinity.check()
        if session.closed:
            msg = "the injected ClientSession was closed: keep it open until the core is left"
            raise ConfigurationError(msg)
        return session
