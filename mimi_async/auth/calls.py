"""The calls of a controller that check arguments or take more than one operation: an account holds no controller."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from typing import Final, TypeVar, cast

from ..errors import InvalidInputError, MimiError, OnlyCopyError
from ..gate import closed_error
from ..hearing.results import HearingTestResult
from ..identity import MimiUser, validate_key, validate_sex, validate_year_of_birth
from ..operations.operation import loop_time, reject_reentrant_call
from ..records.session import RecordSession
from ..secret import Secret
from ..updates.broadcaster import Subscription
from ..updates.delivery import Receiver, UserUpdate, is_delivering
from . import actions, removal
from .account import Account
from .log_in_methods import Anonymously, LogInAnonymously
from .result import ActionResult, PostponedError
from .state import AccountState

T = TypeVar("T")


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""The default of a field that an update leaves as it is."""


async def update_user(
    account: Account, controller: object, year_of_birth: object, sex: object, if_unchanged: object
) -> MimiUser:
    """Check the fields to change, and change them."""
    changes: dict[str, object] = {}
    if year_of_birth is not UNSET:
        changes["year_of_birth"] = validate_year_of_birth(year_of_birth)
    if sex is not UNSET:
        changes["sex"] = validate_sex(sex)
    if not isinstance(if_unchanged, MimiUser | None):
        msg = f"if_unchanged is a MimiUser, such as `current_user`, not a {type(if_unchanged).__name__}"
        raise InvalidInputError(msg)
    return await account.run(controller, partial(actions.update_user, changes=changes, if_unchanged=if_unchanged))


async def submit_hearing_test(
    account: Account, controller: object, result: object, key: Secret | None
) -> HearingTestResult:
    """Check a hearing test and its key, and store the test at the server."""
    if not isinstance(result, HearingTestResult):
        msg = f"submit_hearing_test takes a HearingTestResult, not a {type(result).__name__}"
        raise InvalidInputError(msg)
    return await account.run(controller, partial(actions.submit_hearing_test, result=result, key=validate_key(key)))


async def authenticate(account: Account, controller: object, method: object) -> MimiUser:
    """Log in or create a user."""
    match method:
        case LogInAnonymously(anonymous_id):
            action = partial(removal.log_in, anonymous_id=anonymous_id)
            return await run_with_copy(account, controller, action, restore_first=False)
        case Anonymously():
            return await account.run(controller, actions.create_user)
    msg = f"a log-in method is LogInAnonymously(id) or Anonymously(), not {type(method).__name__}"
    raise InvalidInputError(msg)


async def find_user(account: Account, controller: object, max_age: float) -> MimiUser | None:
    """Return the user as of less than `max_age` seconds ago; ask where the last answer is older."""
    account.check_call()
    if not account.is_busy and account.state.is_fresh(max_age, loop_time()):
        return account.state.committed_user
    had_user, deadline = account.state.committed_user is not None, account.new_deadline()
    user = await account.run(controller, partial(actions.find_user, max_age=max_age), deadline=deadline)
    if user is None and had_user:  # in an operation of its own, so that the end of the user has an update of its own
        user = await account.run(controller, partial(actions.find_user, max_age=0.0), deadline=deadline)
    return user


async def admit(account: Account, controller: object) -> None:
    """Return when a view may run; restore first where that is due."""
    reject_reentrant_call(account)
    if not (account.gate.is_open or account.state.is_settled or account.context.retried is controller):
        try:
            await account.restore(controller)
        except MimiError as error:
            raise closed_error(error) from error
    await account.gate.wait_open()


async def run_with_copy(
    account: Account,
    controller: object,
    action: Callable[..., Awaitable[ActionResult[T]]],
    *,
    restore_first: bool = True,
) -> T:
    """Run an action that removes an id from the store, which needs a copy of the id at the host.

    Earlier updates are delivered first. A postponed action runs a last time, with `is_last_call`. Within a delivery
    nothing is waited for: the action runs once.
    """
    account.check_call()
    deadline, is_postponed = account.new_deadline(), False

    async def attempt(state: AccountState, session: RecordSession) -> ActionResult[T | None]:
        nonlocal is_postponed
        try:
            return await action(state, session, is_last_call=False)
        except PostponedError as postponed:
            is_postponed = True
            return postponed.result

    if not is_delivering():
        if account.state.committed_user is not None:
            await _wait_delivered(account, controller, deadline)
        value = await account.run(controller, attempt, restore_first=restore_first, deadline=deadline)
        if not is_postponed:
            return cast("T", value)
    last = partial(action, is_last_call=True)
    return await account.run(controller, last, restore_first=restore_first, deadline=deadline)


async def _wait_delivered(account: Account, controller: object, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            return await account.context.broadcaster.wait_delivered(controller)
    except TimeoutError:
        msg = "an observer has not finished with an earlier update; the id was kept: try again"
        late = OnlyCopyError(msg)
    raise late


def observe(account: Account, controller: object, receiver: Receiver, *, replay: bool) -> Subscription:
    """Subscribe to the updates of an account; with `replay`, deliver the settled state first."""
    supervisor, broadcaster = account.context.supervisor, account.context.broadcaster
    supervisor.entry.home.check()
    is_settled = replay and account.state.is_restored
    if is_settled:
        supervisor.check_open()
    subscription = broadcaster.observe(controller, receiver, replay=replay)
    if is_settled:
        state = UserUpdate(account.state.committed_user, None, None)
        delivery = broadcaster.enqueue(controller, state, is_for_all=False, is_settled=True)
        if delivery is not None:
            supervisor.spawn(delivery.run())
    return subscription
