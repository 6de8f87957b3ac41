"""When to try again: rarely, not for ever, and never past the deadline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import tenacity

from .. import wire
from ..errors import MimiError, ServerBusyError, ServerTimeoutError, ServerUnreachableError
from .call import Call

ATTEMPTS: Final = 3

JITTER_BASE: Final = 0.1
JITTER_CAP: Final = 5.0

BUDGET: Final = 100
COST: Final = 10
EARNED: Final = 1

Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]

WORTH_A_RETRY = (ServerUnreachableError, ServerTimeoutError, ServerBusyError)

_log = logging.getLogger("mimi_async.transport")


Attempt = Callable[[Call], Awaitable[wire.Reply]]


class Retries:
    """The policy and the budget that all calls of a transport share.

    A retry costs one token of ten and a good request earns a tenth, so that an outage does not double the load. They
    are counted in tenths.

    Args:
        sleep: Waits for that many seconds.
        uniform: Returns a random number between two.
    """

    def __init__(self, sleep: Sleep, uniform: Uniform) -> None:
        self._tokens = BUDGET
        self._uniform = uniform
        self._policy = tenacity.AsyncRetrying(
            sleep=sleep,
            retry=self._may_help,
            wait=self._wait,
            stop=self._must_end,
            before_sleep=self._spend,
            reraise=True,
        )

    def earn(self) -> None:
        """Count a good request."""
        self._tokens = min(BUDGET, self._tokens + EARNED)

    async def after(self, failure: MimiError, attempt: Attempt, call: Call) -> wire.Reply:
        """Go on after the first attempt has failed, as the policy says.

        tenacity costs more than a loopback request saves: it is entered here only, with the failure as its first
        attempt, and in a copy, since it keeps its state in itself.

        Raises:
            MimiError: The failure of the last attempt.
        """
        failures = [failure]

        async def next_attempt(call: Call) -> wire.Reply:
            if failures:
                raise failures.pop()
            return await attempt(call)

        reply: wire.Reply = await self._policy.copy()(next_attempt, call)
        return reply

    def _may_help(self, state: tenacity.RetryCallState) -> bool:
        """An allow-list. A POST without a key is not repeated once its bytes may have arrived."""
        call = _call(state)
        return isinstance(_failure(state), WORTH_A_RETRY) and (call.request.replayable or not call.sent)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds: what the server asks for, else full jitter."""
        failure = _failure(state)
        if isinstance(failure, ServerBusyError) and failure.retry_after is not None:
            return failure.retry_after
        return self._uniform(0.0, min(JITTER_CAP, JITTER_BASE * 2 ** (state.attempt_number - 1)))

    def _must_end(self, state: tenacity.RetryCallState) -> bool:
        """Whether that was the last attempt, the budget is spent, or the wait would pass the deadline."""
        if state.attempt_number >= ATTEMPTS or self._tokens < COST:
            return True
        return asyncio.get_running_loop().time() + state.upcoming_sleep >= _call(state).deadline

    def _spend(self, state: tenacity.RetryCallState) -> None:
        """Pay for a retry, and tell of it without the text of any exception."""
        self._tokens -= COST
        call = _call(state)
        _log.info(
            "%s %s: attempt %d of request %s failed (%s), trying again in %.2f s",
            call.request.method,
            call.request.path.partition("?")[0],
            state.attempt_number,
            call.request_id,
            type(_failure(state)).__name__,
            state.upcoming_sleep,
        )


def _call(state: tenacity.RetryCallState) -> Call:
    call: Call = state.args[0]
    return call


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
