"""What all controllers of one core share."""

from collections.abc import Callable
from typing import Any

import attrs

from ..errors import ConfigurationError, UnserviceableError
from ..operations.supervisor import OperationSupervisor
from ..records.session import RecordSources
from ..timeouts import Timeouts
from ..updates.broadcaster import UpdateBroadcaster


def _validate_age(_: object, attribute: "attrs.Attribute[float]", seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        msg = f"{attribute.name} is a number of seconds, 0 or more"
        raise ConfigurationError(msg)


@attrs.define(eq=False)
class ControllerContext:
    """What all controllers of one core share.

    Attributes:
        sources: Where the records and the users are.
        supervisor: Owns the operations and tasks.
        broadcaster: Delivers the updates.
        user_max_age: Seconds for which a view shows a user without asking the server again.
        retried: The controller whose failed restore is retried in the background, so that its gate stays undecided.
        unserviceable: Why nothing may be asked any more, once the server has refused this version of the SDK.
        on_unserviceable: Called when that happens.
        on_invalidated: Called with the controller whose user is no longer known, while its gate is undecided.
    """

    sources: RecordSources
    supervisor: OperationSupervisor
    broadcaster: UpdateBroadcaster[Any]
    user_max_age: float = attrs.field(default=5.0, validator=_validate_age)
    retried: object = None
    unserviceable: UnserviceableError | None = None
    on_unserviceable: Callable[[UnserviceableError], None] = lambda _: None
    on_invalidated: Callable[[Any], None] = lambda _: None

    @property
    def timeouts(self) -> Timeouts:
        """The time limits of the core."""
        return self.supervisor.entry.timeouts

    def check_serviceable(self) -> None:
        """Raise an `UnserviceableError` once the server has refused this version of the SDK: nothing is asked."""
        if self.unserviceable is not None:
            raise self.unserviceable.copy()

    def latch_unserviceable(self, error: Exception) -> None:
        """Note that the server has refused this version of the SDK, if `error` says so for the first time."""
        if isinstance(error, UnserviceableError) and self.unserviceable is None:
            self.unserviceable = error
            self.on_unserviceable(error)
