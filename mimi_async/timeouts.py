"""The time limits of a core, as one value."""

import attrs

from .errors import ConfigurationError


def _seconds(default: float, *, may_be_zero: bool = True) -> float:
    def validate(_: object, attribute: "attrs.Attribute[float]", seconds: float) -> None:
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds < float("inf") or (seconds == 0 and not may_be_zero):
            bounds = "0 or more" if may_be_zero else "more than 0"
            msg = f"Timeouts({attribute.name}=…) is a number of seconds, {bounds}"
            raise ConfigurationError(msg)

    return attrs.field(default=default, validator=validate)


@attrs.frozen(kw_only=True)
class Timeouts:
    """All time limits of a core, in seconds: `MimiCore(timeouts=Timeouts(call=5.0))`.

    Attributes:
        call: From a call to its deadline; also how long a view waits for the start of the core.
        attempt: One HTTP request, from its first byte to the end of its response; never past the deadline of the call.
        connect: Connecting to the server, including TLS; more than 0.
        retry_base: The wait before the first retry of a request is random, between 0 and this; it doubles each time.
        retry_cap: The longest such wait. A Retry-After replaces the wait.
        receiver: One async observer, for one update.
        receiver_cancel: From the cancellation of such an observer to its disconnection, if it does not end.
        blocking: An observer that blocks the event loop for so long in one step is logged and reported on
            `observer_failed`.
        startup: Opening the transport, opening the store, and closing the store: each.
        entry_warning: A call that has waited so long for a core that was not entered is logged, once for each core.
        background_retry_base: With `on_restore_failure="retry"`, the wait after the first failed restore is random,
            between 0 and this; it doubles each time. The same holds for a change feed that has ended.
        background_retry_cap: The longest such wait.
        recheck_first: After a restore has failed in a way that a retry does not help (the server does not know the id,
            the record is damaged, the credentials are rejected), calls raise that failure until so many seconds have
            passed; the next call then asks again, once for all callers. The interval doubles with each such failure.
        recheck_max: The longest such interval.
        undo: Putting the record back after a store write without an answer; it may pass the deadline of the call.
        feed_settling: A change feed counts as established after so long, or with its first change.
        feed_reset: A change feed that ends after so long is opened again with the shortest wait.
        feed_close: Closing a change feed.
        shutdown: Leaving the core: what operations and deliveries under way get before they are cancelled.
        shutdown_cancel: From that cancellation until a task that does not end is abandoned.

    Raises:
        ConfigurationError: A value is not a finite number, or is negative.
    """

    call: float = _seconds(30.0)
    attempt: float = _seconds(10.0)
    connect: float = _seconds(5.0, may_be_zero=False)
    retry_base: float = _seconds(0.1)
    retry_cap: float = _seconds(5.0)
    receiver: float = _seconds(30.0)
    receiver_cancel: float = _seconds(1.0)
    blocking: float = _seconds(0.1)
    startup: float = _seconds(30.0)
    entry_warning: float = _seconds(5.0)
    background_retry_base: float = _seconds(0.5)
    background_retry_cap: float = _seconds(30.0)
    recheck_first: float = _seconds(5.0)
    recheck_max: float = _seconds(300.0)
    undo: float = _seconds(5.0)
    feed_settling: float = _seconds(1.0)
    feed_reset: float = _seconds(60.0)
    feed_close: float = _seconds(3.0)
    shutdown: float = _seconds(5.0)
    shutdown_cancel: float = _seconds(1.0)


def validate_timeouts(given: object) -> Timeouts:
    """Return the time limits of a setting; None stands for the default ones.

    Raises:
        ConfigurationError: It is not a `Timeouts`.
    """
    if given is None:
        return Timeouts()
    if not isinstance(given, Timeouts):
        msg = f"timeouts is a Timeouts(call=…, …), not a {type(given).__name__}"
        raise ConfigurationError(msg)
    return given
