"""What stands behind a controller: the state of one account, changed by one turn at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import attrs

from ..errors import (
    AlreadyAuthenticatedError,
    ConfigurationError,
    MimiError,
    NotAuthenticatedError,
    NotRestoredError,
    ServerTimeoutError,
    StoreConflictError,
    StoreUnavailableError,
    UnserviceableError,
)
from ..gate import Gate, closed
from ..identity import AccessToken, AnonymousId, MimiUser
from ..stores.base import StoredIdentity
from .delivery import UserUpdate, is_delivering
from .records import Records
from .signals import Announcer, Place
from .turn import Turn, refuse_inside
from .turns import Turns

T = TypeVar("T")
Work = Callable[[Turn[T]], Awaitable[T]]

_UNDO_SECONDS = 5.0

_REFUSALS = (AlreadyAuthenticatedError, NotAuthenticatedError, ConfigurationError)


@attrs.define(eq=False)
class Shared:
    """What all controllers of one core share.

    Attributes:
        records: Follows what is stored.
        turns: Owns what is under way.
        announcer: Tells the updates.
        patience: Seconds from a call to its deadline.
        unserviceable: Why nothing may be asked any more, once the server has said so.
        on_unserviceable: Told when that happens.
        on_lost: Told whose user was known, and is not any more, while the gate is undecided.
    """

    records: Records
    turns: Turns
    announcer: "Announcer[Actor]"
    patience: float = 30.0
    unserviceable: UnserviceableError | None = None
    on_unserviceable: Callable[[UnserviceableError], None] = lambda _: None
    on_lost: Callable[["Actor"], None] = lambda _: None


class Actor:
    """The state of one account: who the user is, as far as it is known, and the gate that follows from it.

    Attributes:
        account: The partner's name for it.
        gate: Whether views may run.
        keeps_trying: Whether the gate waits while the restore fails retryably, since it is tried again.
    """

    __slots__ = (
        "__weakref__", "_doubted", "_failure", "_is_restored", "_lock", "_restoring", "_set_down", "_shared",
        "_token", "_token_ends", "_told", "_underway", "_user", "account", "gate", "keeps_trying",
    )  # fmt: skip

    def __init__(self, account: str, shared: Shared) -> None:
        self.account: str = account
        self.gate: Gate = Gate()
        self.keeps_trying: bool = False
        self._shared = shared
        self._user: MimiUser | None = None  # the user as the turn under way has it
        self._told: MimiUser | None = None  # the user as of the last commit
        self._doubted: MimiUser | None = None  # the user as of a write without an answer, to be put back
        self._set_down: AnonymousId | None = None  # by a start_over() without an answer, whose id the next one returns
        self._token: AccessToken | None = None
        self._token_ends = 0.0
        self._is_restored: bool | None = False  # None: it was known who the user is, until a notice got no answer
        self._failure: MimiError | None = None
        self._restoring: Turn[None] | None = None
        self._lock: asyncio.Lock | None = None
        self._underway = 0

    async def restore(self) -> None:
        """Make sure that it is known who the user is; joins a restore in flight.

        Raises:
            MimiError: The restore has failed, or has failed before by a verdict.
        """
        self._check_call()
        await self._settle(asyncio.get_running_loop().time() + self._shared.patience)

    async def admit(self) -> None:
        """Return when a view may run; restores first where that is due.

        Raises:
            ViewsClosedError: The gate is shut; `.__cause__` says why.
        """
        refuse_inside(self)
        if not self.gate.is_open and not self.keeps_trying and not self._is_restored:
            try:
                await self.restore()
            except MimiError as error:
                raise closed(error) from error
        await self.gate.passed()

    @property
    def is_restored(self) -> bool:
        """Whether it is known who the user is."""
        return bool(self._is_restored)

    # How a turn is taken ---------------------------------------------------------------------------------------------

    def _check_call(self) -> None:
        self._shared.turns.check_open()
        self._check_serviceable()
        refuse_inside(self)

    def _check_serviceable(self) -> None:
        if self._shared.unserviceable is not None:
            raise self._shared.unserviceable.again()

    async def _call(self, work: Work[T], *, needs_restore: bool = True, deadline: float | None = None) -> T:
        """Take a turn for a public call, after the restore it may have to wait for."""
        self._check_call()
        deadline = self._deadline() if deadline is None else deadline
        if needs_restore:
            await self._settle(deadline)
        elif self._restoring is not None:
            await self._join(self._restoring, deadline)
        return await self._take(Turn(deadline, returns_at_commit=is_delivering()), work)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._shared.patience

    async def _settle(self, deadline: float) -> None:
        """Wait for a restore in flight; after none, or one that failed retryably, make one try, shared by all."""
        if self._is_restored:
            return None
        if self._restoring is not None:
            await self._join(self._restoring, deadline)
        if not self._is_restored and (self._failure is None or self._failure.retryable):
            if self._restoring is None:
                self._shared.turns.check_open()
                self._restoring = Turn(deadline, returns_at_commit=is_delivering())
                return await self._take(self._restoring, self._restore)
            await self._join(self._restoring, deadline)
        self._shared.turns.check_open()
        if not self._is_restored:
            raise self._failure.again() if self._failure else NotRestoredError("the restore was cut off: try again")
        return None

    async def _join(self, turn: Turn[None], deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                return await turn.committed()
        except TimeoutError:
            late = ServerTimeoutError("the restore that this call waited for took until its deadline")
        raise late

    def _take(self, turn: Turn[T], work: Work[T]) -> Awaitable[T]:
        self._start(turn, work)
        return turn.outcome()

    def _start(self, turn: Turn[T], work: Work[T]) -> None:
        self._shared.turns.check_open()
        self._underway += 1
        self._shared.turns.start(turn, partial(self._steps, work))

    async def _steps(self, work: Work[T], turn: Turn[T]) -> None:
        """A turn: lock, ask, keep, become, unlock, announce."""
        lock = self._lock = self._lock or asyncio.Lock()
        try:
            async with lock:
                turn.hold(self)
                self._check_serviceable()
                place = await self._locked(turn, work)
        finally:
            self._underway -= 1
            if not self._underway:
                self._lock = None
            if turn is self._restoring:
                self._restoring = None
        turn.commit()
        if place is not None:
            await self._shared.announcer.deliver(place)

    async def _locked(self, turn: Turn[T], work: Work[T]) -> "Place[Actor] | None":
        try:
            turn.result = await work(turn)
            turn.cut_short()
            turn.error = None  # a cut that somebody's code has swallowed counts no more
        except asyncio.CancelledError:
            turn.error = turn.cut_short()
            if turn.error is None:
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller raises it; here the state is settled first
            turn.error = error
        if turn.error is not None:
            await self._failed(turn, turn.error)
        self._note_failure(turn)
        old = self._told
        if self._is_restored:
            self._told = self._user
        self._swing_gate()
        return self._place(turn, old)

    async def _failed(self, turn: Turn[T], failure: Exception) -> None:
        """Let the state follow a failure."""
        if turn.is_in_doubt and self._user is not None:
            await self._undone(turn, self._user, failure)

    async def _undone(self, turn: Turn[T], user: MimiUser, failure: Exception) -> None:
        """After a store write without an answer, go on as before if the record does; else it is not known who is."""
        turn.is_undoing = True
        try:
            async with asyncio.timeout(_UNDO_SECONDS):
                await self._put_back(turn, user)
        except (MimiError, TimeoutError) as error:
            self._doubted, self._user, self._token = user, None, None
            self._is_restored = False
            self._failure = failure if isinstance(failure, MimiError) else StoreUnavailableError(str(error))

    async def _put_back(self, turn: Turn[Any], user: MimiUser) -> None:
        """Let the record say again that this is the user, under a revision that a write on its way does not expect.

        Raises:
            MimiError: The store did not answer, or the record is somebody else's by now.
        """
        record = await self._shared.records.load(turn, self.account)
        is_ours = record is None or record.anonymous_id == user.anonymous_id
        if not is_ours or (record is not None and record.state == "rejected"):
            msg = "the record was changed meanwhile: the next call follows what it says now"
            raise StoreConflictError(msg)
        active = StoredIdentity.active(user.anonymous_id, user.id)
        await self._shared.records.replace(turn, self.account, record, active)

    def _note_failure(self, turn: Turn[Any]) -> None:
        error = turn.error
        if isinstance(error, UnserviceableError) and self._shared.unserviceable is None:
            self._shared.unserviceable = error
            self._shared.on_unserviceable(error)
        if turn is self._restoring and isinstance(error, MimiError):
            turn.is_quiet = self.keeps_trying and type(error) is type(self._failure)
            self._failure = error
        if isinstance(error, MimiError) and error is self._failure:
            self._failure = error.again()  # the caller's own gets a traceback, which holds the frames of whoever called

    def _swing_gate(self) -> None:
        """Let the gate follow the record."""
        failure = self._shared.unserviceable or self._failure
        if not self._shared.turns.is_open:
            return
        if failure is None:
            if self._is_restored:
                self.gate.open()
        elif not (failure.retryable and self.keeps_trying):
            self.gate.shut(failure)

    def _place(self, turn: Turn[Any], old: MimiUser | None) -> "Place[Actor] | None":
        """Take the place of a turn's announcement: that the user changed, or that it failed."""
        error = turn.note
        if error is None and isinstance(turn.error, MimiError) and not isinstance(turn.error, _REFUSALS):
            error = None if turn.is_quiet else turn.error
        update, is_news = UserUpdate(self._told, old, error), error is not None or self._told != old
        return self._shared.announcer.take_place(self, update, is_news=is_news, is_settled=self.is_restored)

    async def _restore(self, turn: Turn[None]) -> None:
        """Become what the record says; the work of a restore."""
        raise NotImplementedError
