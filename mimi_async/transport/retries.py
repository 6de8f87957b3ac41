"""The retry policy: three attempts, a budget, and never past the deadline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import tenacity

from .. import wire
from ..errors import MimiError, ServerBusyError, ServerTimeoutError, ServerUnreachableError
from ..timeouts import Timeouts
from .timeouts import Call

ATTEMPTS: Final = 3

BUDGET: Final = 100
COST: Final = 10
EARNED: Final = 1

Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]

RETRYABLE = (ServerUnreachableError, ServerTimeoutError, ServerBusyError)

_log = logging.getLogger("mimi_async.transport")

Attempt = Callable[[Call], Awaitable[wire.Reply]]


class RetryPolicy:
    """The policy and the budget that all calls of a transport share.

    A retry costs one token of ten and a successful request earns a tenth, so that an outage does not double the load.
    The budget is counted in tenths.

    Args:
        timeouts: The base and the cap of the wait before a retry.
        sleep: Waits for a number of seconds.
        uniform: Returns a random number between two numbers.
    """

    def __init__(self, timeouts: Timeouts, sleep: Sleep, uniform: Uniform) -> None:
        self._timeouts = timeouts
        self._tokens = BUDGET
        self._sleep = sleep
        self._uniform = uniform

    def earn(self) -> None:
        """Count a successful request."""
        self._tokens = min(BUDGET, self._tokens + EARNED)

    async def retry(self, failure: MimiError, attempt: Attempt, call: Call) -> wire.Reply:
        """Make the other attempts after the first one has failed.

        tenacity costs 20 to 35 µs, beside 110 µs for a loopback request: it is entered here only, with the failure as
        its first attempt.

        Raises:
            MimiError: The failure of the last attempt.
        """
        failures = [failure]

        async def next_attempt() -> wire.Reply:
            if failures:
                raise failures.pop()
            return await attempt(call)

        def may_help(error: BaseException) -> bool:
            """Return whether a retry is allowed: not for a POST without a key once its bytes may have arrived."""
            return isinstance(error, RETRYABLE) and (call.request.is_replayable or not call.sent)

        def must_end(state: tenacity.RetryCallState) -> bool:
            """Return whether that was the last attempt, the budget is spent, or the wait would pass the deadline."""
            is_late = asyncio.get_running_loop().time() + state.upcoming_sleep >= call.deadline
            return is_late or state.attempt_number >= ATTEMPTS or self._tokens < COST

        policy = tenacity.AsyncRetrying(
            sleep=self._sleep,
            retry=tenacity.retry_if_exception(may_help),
            wait=self._wait,
            stop=must_end,
            before_sleep=partial(self._spend, call),
            reraise=True,
        )
        return await policy(next_attempt)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait: the Retry-After of the server, else full jitter."""
        failure = _failure(state)
        if isinstance(failure, ServerBusyError) and failure.retry_after is not None:
            return failure.retry_after
        longest = self._timeouts.retry_base * 2 ** (state.attempt_number - 1)
        return self._uniform(0.0, min(self._timeouts.retry_cap, longest))

    def _spend(self, call: Call, state: tenacity.RetryCallState) -> None:
        """Pay for a retry and log it, without the text of any exception."""
        self._tokens -= COST
        _log.info(
            "%s %s: attempt %d of request %s failed (%s), retry in %.2f s",
            call.request.method,
            call.request.path.partition("?")[0],
            state.attempt_number,
            call.request_id,
            type(_failure(state)).__name__,
            state.upcoming_sleep,
        )


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
