"""The parts of the package that no public call reaches alone: an announcement without its operation."""

from collections.abc import Awaitable
from typing import Any

from mimi_async import AuthController, MimiUser, UserUpdate
from mimi_async.auth.context import ControllerContext
from mimi_async.operations.supervisor import OperationSupervisor
from mimi_async.records.session import RecordSources
from mimi_async.secret import AnonymousId
from mimi_async.stores import MemoryStore
from mimi_async.updates.broadcaster import UpdateBroadcaster
from mimi_async.wire import Reply, Request

USER = MimiUser(id="0" * 32, anonymous_id=AnonymousId("00000000-0000-0000-0000-000000000000"))


def create_controllers(count: int) -> tuple[ControllerContext, list[AuthController]]:
    """Return controllers of one core, and what they share."""
    supervisor = OperationSupervisor()
    broadcaster: UpdateBroadcaster[Any] = UpdateBroadcaster(supervisor.spawn, supervisor.entry)
    sources = RecordSources(_refuse, MemoryStore(), None)
    shared = ControllerContext(sources=sources, supervisor=supervisor, broadcaster=broadcaster)
    return shared, [AuthController(f"account-{number}", shared) for number in range(count)]


def announce(shared: ControllerContext, auth: AuthController) -> Awaitable[None]:
    """Deliver an update, as an operation does after its commit."""
    delivery = shared.broadcaster.enqueue(auth, UserUpdate(USER, None, None), is_for_all=True, is_settled=True)
    assert delivery is not None
    return delivery.run()


async def receive(_: object, *, current: object, old: object, error: object) -> None:
    """Take an update, and do nothing."""
    del current, old, error


async def _refuse(request: Request) -> Reply:
    raise AssertionError(request)
