"""One call of the transport with its deadline, and the time limit of each of its attempts."""

import asyncio
from typing import cast

import attrs

from .. import wire
from ..errors import ServerTimeoutError


@attrs.define(eq=False)
class Call:
    """One call of `Transport.send`.

    Attributes:
        request: The request of all its attempts.
        request_id: The X-Request-ID of all its attempts.
        deadline: The loop time by which it ends.
        sent: Whether a byte of the newest attempt may have reached the server.
    """

    request: wire.Request
    request_id: str
    deadline: float
    sent: bool = True

    def deadline_error(self) -> ServerTimeoutError:
        """Return the error for a deadline that came before anything was sent."""
        msg = "the call's deadline came before its request could be sent: try again later"
        return ServerTimeoutError(msg, request_id=self.request_id)


class AttemptTimeout:
    """Cancel an attempt at its time limit. As `asyncio.timeout`, raise TimeoutError for its own cancellation only.

    A context manager of plain methods: the coroutines of `asyncio.timeout` cost time in each attempt.

    Args:
        call: The call of the attempt, whose deadline the attempt does not pass.
        seconds: How long the attempt may take.

    Raises:
        ServerTimeoutError: The deadline has passed.
    """

    __slots__ = ("_cancelling", "_has_expired", "_task", "_timer")

    def __init__(self, call: Call, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if call.deadline <= now:
            raise call.deadline_error()
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._has_expired = False
        self._timer = loop.call_at(min(call.deadline, now + seconds), self._expire)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._timer.cancel()
        if self._has_expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError

    def _expire(self) -> None:
        self._has_expired = True
        self._task.cancel()
