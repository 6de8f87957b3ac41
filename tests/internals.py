"""The private parts of a core that tests look at or change: the only file that names them."""

from mimi_async import AuthController, MimiCore
from mimi_async.auth.change_listener import ChangeListener
from mimi_async.auth.context import ControllerContext
from mimi_async.auth.registry import ControllerRegistry
from mimi_async.auth.state import AccountState
from mimi_async.operations.supervisor import OperationSupervisor


def registry_of(core: MimiCore) -> ControllerRegistry:
    """Which controllers are alive: no public call returns one without a restore, or says which were evicted."""
    return core._controllers


def controller_of(core: MimiCore, account: str) -> AuthController:
    """A controller that is not restored yet, or whose restore has failed: `auth_for` returns neither."""
    return registry_of(core).get_or_create(account)


def supervisor_of(core: MimiCore) -> OperationSupervisor:
    """What still runs."""
    return core._supervisor


def listener_of(core: MimiCore) -> ChangeListener:
    """What waits for a refresh: no public call shows that all changes were followed."""
    assert core._changes is not None
    return core._changes


def state_of(auth: AuthController) -> AccountState:
    """The token and the ages of answers, which no public call shows."""
    return auth._account.state


def context_of(core: MimiCore) -> ControllerContext:
    """The transport of a core that was left."""
    return core._context
