"""Choose a back end of the `keyring` library that can hold a secret, translate its errors, and call it in a thread."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import keyring
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, NoKeyringError, PasswordDeleteError, PasswordSetError

from ...errors import StoreUnavailableError, describe_exception

_T = TypeVar("_T")

_ENABLE = (
    "enable one for this session (macOS Keychain, or a Secret Service such as GNOME Keyring, KWallet or KeePassXC), or,"
    " on a machine without a desktop, use another store, such as SQLiteStore"
)
_UNLOCK = "unlock it and try again"
_KEPT = "what it holds was kept"

_LEAST_PRIORITY = 1
"""The `keyring` library recommends back ends of this priority or a higher one."""

_MESSAGES: dict[type[Exception], str] = {
    KeyringLocked: f"the keyring is locked; {_KEPT}: {_UNLOCK}",
    NoKeyringError: f"there is no keyring; {_KEPT}: {_ENABLE}",
    InitError: f"the keyring can't be opened; {_KEPT}: unlock it, or {_ENABLE}",
    PasswordSetError: f"the keyring refused to write; {_KEPT}: {_UNLOCK}",
    PasswordDeleteError: f"the keyring refused to delete; {_KEPT}: {_UNLOCK}",
}


def translate_error(error: BaseException) -> StoreUnavailableError:
    """Return the error of this library for an error of a back end, without its text, which may quote a secret."""
    for kind, message in _MESSAGES.items():
        if isinstance(error, kind):
            return StoreUnavailableError(message)
    return StoreUnavailableError(f"the keyring failed ({describe_exception(error)}); {_KEPT}: unlock it, or {_ENABLE}")


def choose_backend(given: KeyringBackend | None) -> KeyringBackend:
    """Return the given back end, or the library's choice; of a chain, the first member that can hold a secret.

    A chain writes to the first member that accepts a value, which may be one that writes plain text.

    Raises:
        StoreUnavailableError: No back end can hold a secret.
    """
    try:
        backend = keyring.get_keyring() if given is None else given
        members = list(backend.backends) if isinstance(backend, ChainerBackend) else [backend]
        flaws = [_find_flaw(member) for member in members]
    except BaseException as error:  # noqa: BLE001 - a back end may raise anything
        refused = translate_error(error)
    else:
        for member, flaw in zip(members, flaws, strict=True):
            if flaw is None:
                return member
        reason = next(iter(flaws), None) or "the chain of keyrings is empty"
        refused = StoreUnavailableError(f"{reason}: {_ENABLE}")
    raise refused


def _find_flaw(backend: KeyringBackend) -> str | None:
    kinds = type(backend).__mro__
    modules = {kind.__module__ for kind in kinds}
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if "keyring.backends.fail" in modules:
        return "there is no keyring"
    if "keyring.backends.null" in modules:
        return "the keyring is switched off: its `null` back end stores nothing"
    if any(kind.__module__.startswith("keyrings.alt") or "plaintext" in kind.__name__.lower() for kind in kinds):
        return f"the keyring stores plain text, or text that is easy to decrypt ({name}), and is not used"
    if type(backend).priority < _LEAST_PRIORITY:
        return f"the `keyring` library does not recommend this keyring ({name})"
    return None


class KeyringThread:
    """Run one call at a time in a daemon thread. A call that hangs holds up the next ones, each to its time limit.

    `asyncio.to_thread` is not used: at its end the interpreter waits for the threads of an executor.

    Args:
        timeout: Seconds that a call may take, its wait for the one before included.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._thread = threading.Thread()
        self._outcome: Future[Any] = Future()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what the function returns. After the time limit or a cancellation the function goes on to its end.

        asyncio's debug mode logs results: the function returns no plain secret.

        Raises:
            StoreUnavailableError: The call did not end in time.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                if self._thread.is_alive():  # in a forked child it is not: the thread stayed in the parent
                    with suppress(Exception):  # its caller raises it
                        await asyncio.wrap_future(self._outcome)
                outcome: Future[_T] = Future()
                outcome.set_running_or_notify_cancel()  # a caller that is cancelled does not cancel it for the next one
                self._outcome = outcome
                self._thread = threading.Thread(target=_run, args=(work, outcome), name="mimi-keyring", daemon=True)
                self._thread.start()
                return await asyncio.wrap_future(outcome)
        msg = (
            f"the keyring did not answer within {self._timeout:g} s; what it holds was kept: it may wait for its user"
            " to unlock it; unlock it and try again"
        )
        raise StoreUnavailableError(msg)


def _run(work: Callable[[], _T], outcome: "Future[_T]") -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        outcome.set_exception(error.with_traceback(None))
