"""The identity server as a plain function, for tests that need no socket: `MimiCore(send=server.send, …)`."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from typing import Any, Self

import attrs

from mimi_async import Audiogram, AuthController, HearingTestResult, MimiCore, MimiError, MimiUser, UserUpdate, wire
from mimi_async.secret import AccessToken, AnonymousId
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.updates.delivery import Receiver
from mimi_async.wire.server_side import (
    Profile,
    write_creation,
    write_export,
    write_problem,
    write_session,
    write_submission,
    write_user,
)

EARS = Audiogram(dict.fromkeys((250, 500, 1000, 2000, 4000, 8000), 15.0))
HEARING_TEST = HearingTestResult(
    taken_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC), calibrated=True, left=EARS, right=EARS
)


def an_id(number: int) -> AnonymousId:
    return AnonymousId(f"00000000-0000-4000-8000-{number:012x}")


class FakeServer:
    """Users, erased ids and create keys in memory, and hooks to fail, hold or script a request.

    Attributes:
        requests: "METHOD path" of each request.
        failure: The error of every request, or None.
        script: The error or reply of the next requests, one each; None for the usual reply.
        before: Called with each request before the reply.
    """

    def __init__(self) -> None:
        self.users: dict[AnonymousId, Profile] = {}
        self.erased: set[AnonymousId] = set()
        self.ids_by_key: dict[object, AnonymousId] = {}
        self.tokens: dict[AccessToken, AnonymousId] = {}
        self.requests: list[str] = []
        self.failure: MimiError | None = None
        self.script: list[MimiError | wire.Reply | None] = []
        self.before: Callable[[wire.Request], object] | None = None
        self._held: asyncio.Event | None = None
        self._asked = asyncio.Event()

    def hold(self) -> asyncio.Event:
        """Hold all requests from now on until the returned event is set."""
        self._held, self._asked = asyncio.Event(), asyncio.Event()
        return self._held

    async def asked(self) -> None:
        """Wait until a request has arrived since `hold`."""
        await self._asked.wait()

    def add_user(self, number: int = 1) -> AnonymousId:
        anonymous_id = an_id(number)
        self.users[anonymous_id] = Profile(id=f"{number:032x}")
        return anonymous_id

    def forget_tokens(self) -> None:
        self.tokens.clear()

    async def send(self, request: wire.Request) -> wire.Reply:
        self.requests.append(f"{request.method} {request.path}")
        self._asked.set()
        if self.before is not None:
            self.before(request)
        if self._held is not None:
            await self._held.wait()
        scripted = self.script.pop(0) if self.script else None
        if isinstance(scripted or self.failure, MimiError):
            raise (scripted or self.failure).copy()  # type: ignore[union-attr]  # an error, as just asked
        return scripted if isinstance(scripted, wire.Reply) else self._answer(request)

    def _answer(self, request: wire.Request) -> wire.Reply:
        if request.path == "/v1/anonymous-users":
            number = len(self.ids_by_key) + 1000
            known = request.idempotency_key in self.ids_by_key
            anonymous_id = self.ids_by_key.setdefault(request.idempotency_key, an_id(number))
            if not known:
                self.add_user(number)
            if anonymous_id in self.erased:
                return problem(410, "erased")
            return wire.Reply(
                201, write_creation(self.users[anonymous_id], self._token(anonymous_id), 900, anonymous_id)
            )
        body = json.loads(request.body or b"{}")
        if request.path == "/v1/sessions":
            anonymous_id = AnonymousId(body["anonymous_id"])
            if anonymous_id in self.erased:
                return problem(410, "erased")
            if anonymous_id not in self.users:
                return problem(404, "unknown-anonymous-id")
            return wire.Reply(200, write_session(self.users[anonymous_id], self._token(anonymous_id), 900))
        owner = self.tokens.get(request.token) if request.token else None
        if owner not in self.users:
            return problem(401, "token-rejected")
        return self._answer_to_user(request, body, owner)

    def _answer_to_user(self, request: wire.Request, body: dict[str, Any], owner: AnonymousId) -> wire.Reply:
        if request.method == "DELETE":
            del self.users[owner]
            self.erased.add(owner)
            return wire.Reply(204)
        if request.path == "/v1/user/hearing-tests":
            test = attrs.evolve(HEARING_TEST, id="test-1")
            self.users[owner] = attrs.evolve(self.users[owner], latest_hearing_test=test)
            return wire.Reply(201, write_submission(test, is_latest=True))
        if request.path == "/v1/user/export":
            return wire.Reply(200, write_export(self.users[owner], HEARING_TEST.taken_at, []))
        self.users[owner] = attrs.evolve(self.users[owner], **body)
        return wire.Reply(200, write_user(self.users[owner]))

    def _token(self, owner: AnonymousId) -> AccessToken:
        token = AccessToken(f"token-{len(self.requests)}")
        self.tokens[token] = owner
        return token


def problem(status: int, name: str) -> wire.Reply:
    body = write_problem(status, name, name=name, request_id="r-1")
    return wire.Reply(status, body, content_type=wire.PROBLEM_JSON, request_id="r-1")


class EnteredStore(MemoryStore):
    """A store that shows whether it is entered."""

    is_entered = False

    async def __aenter__(self) -> Self:
        self.is_entered = True
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_entered = False
        await super().__aexit__(*exc_info)


async def store_with(anonymous_id: AnonymousId, account: str = "default") -> EnteredStore:
    store = EnteredStore()
    await store.claim(account, StoredIdentity(state="active", secret=anonymous_id, user_id=None))
    return store


def core_of(server: FakeServer, /, **settings: Any) -> MimiCore:
    """Return a core on the server, by default with an empty store."""
    return MimiCore(**{"send": server.send, "store": MemoryStore(), **settings})


class OpenMemoryStore(MemoryStore):
    """A store in memory whose records a test damages."""

    @property
    def records(self) -> dict[str, StoredIdentity]:
        return self._records


class Observer:
    """An observer that records its updates."""

    def __init__(self) -> None:
        self.updates: list[UserUpdate] = []

    def __call__(
        self, sender: object, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        self.updates.append(UserUpdate(current, old, error))

    @property
    def kinds(self) -> list[tuple[MimiUser | None, MimiUser | None, type[MimiError] | None]]:
        """The updates, each with the class of its error."""
        return [(update.current, update.old, type(update.error) if update.error else None) for update in self.updates]

    def assert_chained(self) -> None:
        """Check that `old` of each update is `current` of the one before."""
        assert [update.old for update in self.updates[1:]] == [update.current for update in self.updates[:-1]]


class Failures:
    """A receiver of `observer_failed`."""

    def __init__(self, core: MimiCore) -> None:
        self.reported: list[tuple[object, BaseException]] = []
        core.observer_failed.connect(self.hear)

    def hear(self, sender: object, *, receiver: object, error: BaseException) -> None:
        self.reported.append((receiver, error))

    @property
    def kinds(self) -> list[type[BaseException]]:
        return [type(error) for _, error in self.reported]


def then(act: Callable[[AuthController, UserUpdate], Any]) -> Receiver:
    """Return an async receiver that calls `act` with the controller and the update."""

    async def receiver(
        sender: AuthController, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        await act(sender, UserUpdate(current, old, error))

    return receiver


async def whose(auth: AuthController) -> MimiUser | None:
    """Return the current user: a view."""
    return auth.current_user


async def views(core: MimiCore, count: int = 2) -> list[asyncio.Task[MimiUser | None]]:
    """Start views of the default account, which wait at the gate."""
    tasks = [asyncio.create_task(core.present(whose)) for _ in range(count)]
    await settle()
    return tasks


async def settle(passes: int = 20) -> None:
    """Run all callbacks that are ready, without waiting for time to pass."""
    for _ in range(passes):
        await asyncio.sleep(0)


def set_timeouts(core: MimiCore, **seconds: float) -> MimiCore:
    """Change some time limits of a core; the others stay."""
    core.timeouts = attrs.evolve(core.timeouts, **seconds)
    return core


def be_quick(core: MimiCore, *, seconds: float = 0.05) -> MimiCore:
    """Give receivers and operations under way a short time."""
    return set_timeouts(core, receiver=seconds, receiver_cancel=seconds, shutdown=seconds)
