"""Background tasks of a core: retry the restore of the app's own account, and watch the change feed of the store."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import tenacity

from ..errors import ConfigurationError, MimiError, describe_exception
from ..timeouts import Timeouts
from .change_listener import ChangeFeedLostError, ChangeListener
from .context import ControllerContext
from .controller import AuthController

Sleep = Callable[[float], Awaitable[None]]


async def retry_restore(auth: AuthController, context: ControllerContext, *, sleep: Sleep = asyncio.sleep) -> None:
    """Restore until an attempt succeeds or ends with a verdict; the gate shows which."""
    try:
        await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            wait=_back_off(context.timeouts),
            stop=tenacity.stop_never,
            sleep=sleep,
            reraise=True,
        )(auth.restore)
    except MimiError:
        return
    except Exception as error:  # noqa: BLE001 - a defect in a host's send must leave no view waiting at the gate
        auth.gate.shut(ConfigurationError(f"the restore can't work: {describe_exception(error)}"))
    finally:
        context.retried = None


async def keep_restored(auth: AuthController, context: ControllerContext) -> None:
    """Retry the restore now, and again whenever a change in the store leaves the user of the account unknown."""
    lost = asyncio.Event()

    def restart(sender: object) -> None:
        if sender is auth:
            context.retried = auth
            lost.set()

    context.on_invalidated = restart
    while True:
        await retry_restore(auth, context)
        await lost.wait()
        lost.clear()
        context.retried = auth


async def watch_changes(listener: ChangeListener, timeouts: Timeouts, *, sleep: Sleep = asyncio.sleep) -> None:
    """Listen to the change feed of the store, and listen again after it was lost; return where there is no feed."""
    await tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(ChangeFeedLostError),
        wait=partial(_wait_before_listening, _back_off(timeouts)),
        stop=tenacity.stop_never,
        sleep=sleep,
        reraise=True,
    )(listener.listen)


def _back_off(timeouts: Timeouts) -> tenacity.wait_random_exponential:
    return tenacity.wait_random_exponential(
        multiplier=timeouts.background_retry_base, max=timeouts.background_retry_cap
    )


def _wait_before_listening(back_off: tenacity.wait_random_exponential, state: tenacity.RetryCallState) -> float:
    """Return the seconds to wait; a feed that had lasted long starts a new series of attempts."""
    failure = state.outcome.exception() if state.outcome is not None else None
    if isinstance(failure, ChangeFeedLostError) and failure.was_long:
        state.attempt_number = 1
    return back_off(state)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, MimiError) and error.retryable
