"""What each request of the contract does: read it, ask the book, write the answer."""

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs
from aiohttp import web

from ..errors import StoreError
from ..identity import AccessToken
from ..wire import contract, openapi, service
from .answers import ProblemError, empty_response, invalid_input, json_response, too_many, unavailable
from .bodies import body_of, caller_of, credentials_rejected, key_of, token_rejected, user_of
from .keys import Keys
from .limits import Limits
from .settings import Settings
from .users import Candidate, Refusal, UserBook

_T = TypeVar("_T")

Problems = dict[Refusal, Callable[[], ProblemError]]

_PROBLEMS: Final[Problems] = {
    Refusal.CREDENTIALS: credentials_rejected,
    Refusal.TOKEN: token_rejected,
    Refusal.ERASED: lambda: ProblemError("erased"),
    Refusal.CURSOR: lambda: invalid_input("the cursor is none of a page of this user"),
}


@attrs.define(eq=False, kw_only=True)
class Desk:
    """What the handlers work with.

    Attributes:
        book: The users.
        keys: Derive ids, digests and tokens.
        limits: What each client may do.
        settings: Seconds and sizes.
        clock: Seconds since the epoch.
    """

    book: UserBook
    keys: Keys
    limits: Limits
    settings: Settings
    clock: Callable[[], float] = time.time

    async def ask(self, verb: Awaitable[_T | Refusal], refused: "Problems | None" = None) -> _T:
        """Return what the book answers.

        Args:
            verb: What it was asked.
            refused: The problems of refusals that mean something else here than everywhere.

        Raises:
            ProblemError: It refused, or does not answer.
        """
        try:
            answer = await verb
        except StoreError:
            problem = unavailable("the database does not answer")
        else:
            if not isinstance(answer, Refusal):
                return answer
            problem = (refused[answer] if refused and answer in refused else _PROBLEMS[answer])()
        raise problem

    async def body(self, request: web.BaseRequest) -> bytes:
        """Return the body of a request."""
        return await body_of(request, self.settings.body_seconds)

    def user(self, request: web.BaseRequest) -> str:
        """Return the id of the user that a request is made for."""
        return user_of(request, self.keys, self.clock())

    def token(self, user_id: str) -> AccessToken:
        """Return a fresh access token."""
        return self.keys.token(user_id, self.clock() + self.settings.token_seconds)


async def create_user(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Make an anonymous user, or find the one that the same key made before."""
    caller, key = caller_of(request, desk.keys), key_of(request)
    service.read_create_user(await desk.body(request))
    candidate = Candidate(desk.keys, key, desk.keys.create_digest(key))
    wait = desk.limits.creation_wait(caller.client_id)
    refused: Problems = {Refusal.LIMITED: lambda: too_many("this client makes too many users", wait)}
    member = await desk.ask(desk.book.create(caller, candidate, may_make=not wait), refused)
    if member.is_new:
        desk.limits.created(caller.client_id)
    anonymous_id = candidate.anonymous_id(member.partner)
    token = desk.token(member.profile.id)
    body = service.write_creation(member.profile, token, desk.settings.token_seconds, anonymous_id)
    return json_response(201 if member.is_new else 200, body)


async def log_in(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Open a session for the user behind an anonymousId."""
    caller = caller_of(request, desk.keys)
    anonymous_id = service.read_log_in(await desk.body(request))
    refused: Problems = {Refusal.UNKNOWN: lambda: _unknown(desk, caller.client_id)}
    member = await desk.ask(desk.book.find(caller, desk.keys.id_digest(anonymous_id)), refused)
    token = desk.token(member.profile.id)
    return json_response(200, service.write_session(member.profile, token, desk.settings.token_seconds))


def _unknown(desk: Desk, client_id: str) -> ProblemError:
    """A wrong id is answered by 404, until there are so many of them that somebody seems to guess."""
    wait = desk.limits.wrong_id(client_id)
    return too_many("this client asks for too many unknown ids", wait) if wait else ProblemError("unknown-anonymous-id")


async def get_user(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Return the user."""
    return json_response(200, service.write_user(await desk.ask(desk.book.read(desk.user(request)))))


async def patch_user(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Change the user."""
    user_id = desk.user(request)
    changes = service.read_patch(await desk.body(request))
    return json_response(200, service.write_user(await desk.ask(desk.book.change(user_id, changes))))


async def erase_user(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Erase the user for ever."""
    await desk.ask(desk.book.erase(desk.user(request)))
    return empty_response()


async def export_user(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Return everything that is held about the user."""
    export = await desk.ask(desk.book.export(desk.user(request)))
    return json_response(200, service.write_export(export.profile, export.created_at, export.tests))


async def submit_test(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Keep a hearing test, once for each key."""
    user_id, key = desk.user(request), key_of(request)
    test = attrs.evolve(service.read_new_test(await desk.body(request)), id=secrets.token_hex(16))
    submission = await desk.ask(desk.book.add_test(user_id, desk.keys.test_digest(user_id, key), test))
    return json_response(201 if submission.is_new else 200, service.write_test(submission.test))


async def list_tests(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Return a page of hearing tests."""
    page = await desk.ask(desk.book.tests(desk.user(request), request.query.get("cursor")))
    return json_response(200, service.write_tests(page.tests, page.next_cursor))


async def healthz(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Tell that the process lives."""
    del desk, request
    return json_response(200, service.write_status("alive"))


async def readyz(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Tell whether the database answers."""
    del request
    await desk.ask(desk.book.ping())
    return json_response(200, service.write_status("ready"))


async def describe(desk: Desk, request: web.BaseRequest) -> web.Response:
    """Return the OpenAPI document."""
    del desk, request
    return json_response(200, openapi.document())


Endpoint = Callable[[Desk, web.BaseRequest], Awaitable[web.Response]]

ROUTES: Final[dict[str, dict[str, Endpoint]]] = {
    contract.ANONYMOUS_USERS: {"POST": create_user},
    contract.SESSIONS: {"POST": log_in},
    contract.USER: {"GET": get_user, "PATCH": patch_user, "DELETE": erase_user},
    contract.EXPORT: {"GET": export_user},
    contract.HEARING_TESTS: {"GET": list_tests, "POST": submit_test},
    contract.HEALTH: {"GET": healthz},
    contract.READINESS: {"GET": readyz},
    contract.OPENAPI: {"GET": describe},
}
"""What answers which path and method. Nothing here could name a person."""
