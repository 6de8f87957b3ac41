"""One account: its lock, its restore and its gate."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from ..errors import (
    ForciblyLoggedOutError,
    MimiError,
    NotRestoredError,
    ServerTimeoutError,
    UnknownAnonymousIdError,
)
from ..gate import Gate
from ..identity import MimiUser
from ..operations.operation import Operation, loop_time, reject_reentrant_call
from ..records.session import RecordSession
from ..updates.delivery import Delivery, UserUpdate, is_delivering
from . import actions
from .context import ControllerContext
from .external_changes import refresh
from .result import ActionResult, update_error
from .state import AccountState

T = TypeVar("T")
Action = Callable[[AccountState, RecordSession], Awaitable[ActionResult[T]]]
"""What an operation does under the lock: it asks, writes the record, and changes the state."""


class _Line:
    """The operations of an account that wait for its lock or hold it, and the restore among them."""

    __slots__ = ("length", "lock", "restoring")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0
        self.restoring: Operation[None] | None = None


class Account:
    """Runs the operations of one account, one at a time.

    Its methods take the controller, the sender of updates, which an operation holds while it runs. The account holds no
    reference to it: a cycle would keep an evicted controller until the garbage collector runs, and a weak reference
    takes 80 B of each.

    Args:
        name: The partner's name for the account.
        context: What all controllers of the core share.

    Attributes:
        state: Who the user is, as far as it is known.
        gate: Whether views may run.
    """

    __slots__ = ("_line", "context", "gate", "name", "state")

    def __init__(self, name: str, context: ControllerContext) -> None:
        self.name: str = name
        self.state: AccountState = AccountState()
        self.gate: Gate = Gate(context.supervisor.entry)
        self.context: ControllerContext = context
        self._line: _Line | None = None

    @property
    def _restoring(self) -> Operation[None] | None:
        return None if self._line is None else self._line.restoring

    @property
    def is_busy(self) -> bool:
        """Whether an operation runs or waits for the lock."""
        return self._line is not None

    @property
    def current_user(self) -> MimiUser | None:
        """The committed user; as `AuthController.current_user`."""
        state = self.state
        if state.is_restored:
            return state.committed_user
        if state.failure is None:
            self.context.supervisor.check_known()
        error = NotRestoredError("it is not known yet whether there is a user: await a call, or present a view")
        error.__cause__ = state.failure and state.failure.copy()
        raise error

    @property
    def settled_user(self) -> MimiUser | None:
        """The user, if it is known and no operation is about to change it; None means that an operation is needed."""
        if self._line is not None or self.state.user is None or not self.state.is_restored:
            return None
        self.check_call()
        return self.state.user

    async def restore(self, controller: object) -> None:
        """Make sure that it is known who the user is; joins a restore in flight. Raises its failure."""
        self.check_call()
        await self._ensure_restored(controller, self.new_deadline(), rechecks_verdict=True)

    async def run(
        self, controller: object, action: Action[T], *, restore_first: bool = True, deadline: float | None = None
    ) -> T:
        """Run an action as an operation, and return its value after its update was delivered.

        Args:
            controller: The controller.
            action: What to do under the lock.
            restore_first: Whether it needs to be known who the user is; else a restore in flight is waited for.
            deadline: The loop time by which it must end; by default from now.
        """
        self.check_call()
        deadline = deadline or self.new_deadline()
        if restore_first:
            await self._ensure_restored(controller, deadline)
        elif self._restoring is not None:
            await _join(self._restoring, deadline)
        operation: Operation[T] = Operation(deadline, returns_at_commit=is_delivering())
        self._submit(controller, operation, action)
        return await operation.result()

    def refresh(self, controller: object) -> Operation[None]:
        """Start to read the record again, since another process may have changed it.

        Where the store or the server does not answer, it is no longer known who the user is: the next call asks again.
        """
        operation: Operation[None] = Operation(self.new_deadline(), returns_at_commit=True)
        self._submit(controller, operation, refresh)
        return operation

    def check_call(self) -> None:
        """Raise a `MimiError` outside `async with core`, after `UnserviceableError`, and within an operation."""
        self.context.supervisor.check_open()
        self.context.check_serviceable()
        reject_reentrant_call(self)

    def new_deadline(self) -> float:
        """Return the deadline of a call that begins now."""
        return loop_time() + self.context.timeouts.call

    async def _ensure_restored(self, controller: object, deadline: float, *, rechecks_verdict: bool = False) -> None:
        """Wait for a restore in flight; without one, or after a failure that is worth a retry, make one attempt.

        All callers share the attempt. With `rechecks_verdict`, a forced log-out is asked about again as well; a failure
        of that is not raised, since it is known that there is no user.
        """
        state = self.state
        if state.is_restored and not (rechecks_verdict and state.failure):
            return
        if self._restoring is not None:
            await _join(self._restoring, deadline)
        if not state.is_settled and state.may_retry(loop_time()):
            if self._restoring is None:
                await self._attempt_restore(controller, deadline)
                return
            await _join(self._restoring, deadline)
        self.context.supervisor.check_open()
        if not state.is_restored:
            raise state.failure.copy() if state.failure else NotRestoredError("the restore was cut off: try again")

    async def _attempt_restore(self, controller: object, deadline: float) -> None:
        restoring: Operation[None] = Operation(deadline, returns_at_commit=is_delivering())
        self._submit(controller, restoring, actions.restore).restoring = restoring
        try:
            await restoring.result()
        except MimiError:
            if not self.state.is_restored:
                raise

    def _submit(self, controller: object, operation: Operation[T], action: Action[T]) -> _Line:
        self.context.supervisor.check_open()
        line = self._line = self._line or _Line()
        line.length += 1
        self.context.supervisor.submit(operation, partial(self._perform, controller, line, action))
        return line

    async def _perform(self, controller: object, line: _Line, action: Action[T], operation: Operation[T]) -> None:
        """Lock, act, settle the state, unlock, and deliver the update."""
        try:
            async with line.lock:
                operation.enter(self)
                self.context.check_serviceable()
                known, session = self.state.failure, RecordSession(self.context.sources, self.name, operation)
                error: Exception | None = None
                try:
                    result: ActionResult[Any] = await action(self.state, session)
                    operation.take_cut()  # the deadline does not count where a function of the host has swallowed it
                except asyncio.CancelledError:
                    error = operation.take_cut()
                    if error is None:
                        raise
                except Exception as failure:  # noqa: BLE001 - the caller raises it, after the state was settled
                    error = failure
                operation.error = error
                if error is not None:
                    if action is not refresh:
                        error = await self._take_back(operation, session, error)
                    result = ActionResult(None, self._note_failure(controller, action, operation, error, known))
                update = self._commit(controller, operation, result)
        finally:
            line.length -= 1
            if not line.length:
                self._line = None
            if operation is line.restoring:
                line.restoring = None
        operation.commit()
        del error, result  # else the error, its traceback and this frame would form a cycle
        if update is not None:
            await update.run()
            del update

    async def _take_back(self, operation: Operation[T], session: RecordSession, error: Exception) -> Exception:
        """Take back a store write without an answer; return the error, which is another one after the deadline."""
        if session.is_unconfirmed and self.state.user is not None:
            await actions.take_back_write(self.state, session, self.state.user, error, self.context.timeouts.undo)
        return operation.error or error

    def _commit(self, controller: object, operation: Operation[T], result: ActionResult[T]) -> Delivery | None:
        """Commit the state, let the gate follow it, and enqueue the update, if one is due."""
        operation.value = result.value
        state = self.state
        if state.failure is not None:
            state.schedule_recheck(loop_time(), self.context.timeouts)
        old = state.commit()
        self._update_gate(controller)
        current = state.committed_user
        is_due = result.error is not None or result.repeats_update or (current is not old and current != old)
        update = UserUpdate(current, old, result.error)
        return self.context.broadcaster.enqueue(controller, update, is_for_all=is_due, is_settled=state.is_restored)

    def _note_failure(
        self, controller: object, action: Action[T], operation: Operation[T], error: Exception, known: MimiError | None
    ) -> MimiError | None:
        """Let the state follow a failed operation, and return the error of its update, None for none."""
        self.context.latch_unserviceable(error)
        is_repeated = type(error) is type(known)
        if action is refresh:
            return None if is_repeated else self._note_failed_refresh(controller, error)
        if operation is self._restoring and isinstance(error, MimiError):
            self.state.fail(error)
            if is_repeated and self.context.retried is controller:
                return None
        return update_error(error)

    def _note_failed_refresh(self, controller: object, error: Exception) -> MimiError:
        if isinstance(error, (ForciblyLoggedOutError, UnknownAnonymousIdError)):
            return error
        failure = self.state.invalidate(error)
        if self.context.supervisor.is_open:
            self.gate.is_open, self.gate.cause = False, None  # undecided, until it is known whether it is retried
            self.context.on_invalidated(controller)
        return failure

    def _update_gate(self, controller: object) -> None:
        """Let the gate follow the state."""
        failure = self.context.unserviceable or self.state.failure
        if not self.context.supervisor.is_open:
            return
        if failure is None:
            if self.state.is_restored:
                self.gate.open()
        elif not (failure.retryable and self.context.retried is controller):
            self.gate.shut(failure)


async def _join(operation: Operation[None], deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            return await operation.wait_committed()
    except TimeoutError:
        late = ServerTimeoutError("the restore that this call waited for took until its deadline")
    raise late
