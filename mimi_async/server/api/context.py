"""What all handlers share: repository, keys, rate limits, settings and clock.

Clients authenticate by HTTP Basic (RFC 7617), users by Bearer (RFC 6750).
"""

import binascii
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import attrs
from aiohttp import hdrs, web

from ...errors import NotStartedError, StoreError
from ...secret import AccessToken, ClientSecret
from ..keys import Keys
from ..rate_limits import RateLimits
from ..settings import Settings
from ..users.repository import Refusal, UnverifiedClient, UserRepository
from .responses import ProblemError

_T = TypeVar("_T")

Problems = Mapping[Refusal, Callable[[], ProblemError]]
"""The problem that a refusal is reported as."""

_ASK_FOR_BASIC: Final[dict[str, str]] = {hdrs.WWW_AUTHENTICATE: 'Basic realm="mimi-async", charset="UTF-8"'}
_ASK_FOR_BEARER: Final[dict[str, str]] = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="mimi-async", error="invalid_token"'}

_PROBLEMS: Final[Problems] = {
    Refusal.CREDENTIALS: lambda: ProblemError(
        "credentials-rejected", "authenticate by HTTP Basic with client id and secret", _ASK_FOR_BASIC
    ),
    Refusal.TOKEN: lambda: ProblemError(
        "token-rejected", "authenticate by Bearer with the token of a new log-in", _ASK_FOR_BEARER
    ),
    Refusal.ERASED: lambda: ProblemError("erased"),
    Refusal.CHANGED: lambda: ProblemError("conflict", "read the user again"),
}


@attrs.define(eq=False, kw_only=True)
class ServerContext:
    """The objects that every handler uses.

    Attributes:
        repository: The users and clients.
        keys: Derive ids, digests and tokens.
        limits: The rate limits of each client.
        settings: The settings of the server.
        clock: Returns seconds since the epoch.
    """

    repository: UserRepository
    keys: Keys
    limits: RateLimits
    settings: Settings
    clock: Callable[[], float] = time.time

    async def ask(self, call: Awaitable[_T | Refusal], problems: Problems | None = None) -> _T:
        """Return the result of a call of the repository.

        Args:
            call: The call.
            problems: The problems of refusals with a meaning of their own in this handler.

        Raises:
            ProblemError: The repository refused, or the database does not respond.
        """
        try:
            result = await call
        except (StoreError, NotStartedError):  # NotStartedError: the server is stopping
            problem = ProblemError(503, "the database does not respond", {hdrs.RETRY_AFTER: "1"})
        else:
            if not isinstance(result, Refusal):
                return result
            problem = (problems[result] if problems and result in problems else _PROBLEMS[result])()
        raise problem

    def read_client(self, request: web.BaseRequest) -> UnverifiedClient:
        """Return the client credentials of a request. They are not verified yet: the repository does it.

        Raises:
            ProblemError: The request has no valid Basic credentials.
        """
        scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "basic" and value.isascii():
            try:
                client_id, colon, secret = binascii.a2b_base64(value, strict_mode=True).decode().partition(":")
            except ValueError:
                pass
            else:
                if colon:
                    return UnverifiedClient(client_id, self.keys.digest_client_secret(ClientSecret(secret)))
        problem = _PROBLEMS[Refusal.CREDENTIALS]()
        raise problem

    def read_user_id(self, request: web.BaseRequest) -> str:
        """Return the id of the user of a request's access token.

        Raises:
            ProblemError: The request has no valid token.
        """
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        user_id = self.keys.verify_token(token, self.clock()) if scheme.lower() == "bearer" else None
        if user_id is None:
            problem = _PROBLEMS[Refusal.TOKEN]()
            raise problem
        return user_id

    def sign_token(self, user_id: str) -> AccessToken:
        """Return a new access token."""
        return self.keys.sign_token(user_id, self.clock() + self.settings.token_seconds)
