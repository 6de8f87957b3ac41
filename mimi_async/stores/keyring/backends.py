"""Which back-end of the `keyring` library may hold a record, and what its errors mean."""

import keyring
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, NoKeyringError, PasswordDeleteError, PasswordSetError

from ...errors import StoreUnavailableError, described

_ENABLE = (
    "enable one for this session (macOS Keychain, or a Secret Service such as GNOME Keyring, KWallet or KeePassXC), or,"
    " on a machine without a desktop, use another store, such as SQLiteStore"
)
_UNLOCK = "unlock it and try again"
_KEPT = "what it holds was kept"

_LEAST_PRIORITY = 1
"""The library recommends a back-end of at least this priority."""

_MEANINGS: dict[type[Exception], str] = {
    KeyringLocked: f"the keyring is locked; {_KEPT}: {_UNLOCK}",
    NoKeyringError: f"there is no keyring; {_KEPT}: {_ENABLE}",
    InitError: f"the keyring can't be opened; {_KEPT}: unlock it, or {_ENABLE}",
    PasswordSetError: f"the keyring refused to write; {_KEPT}: {_UNLOCK}",
    PasswordDeleteError: f"the keyring refused to delete; {_KEPT}: {_UNLOCK}",
}


def refusal(error: BaseException) -> StoreUnavailableError:
    """Return our error for what a back-end has raised, without its text, which may quote a secret."""
    for kind, meaning in _MEANINGS.items():
        if isinstance(error, kind):
            return StoreUnavailableError(meaning)
    return StoreUnavailableError(f"the keyring failed ({described(error)}); {_KEPT}: unlock it, or {_ENABLE}")


def chosen(given: KeyringBackend | None) -> KeyringBackend:
    """Return the back-end to use: the given one, else the library's choice. Out of a chain, its first fit member.

    A chain asks each of its members for a record, and writes to whichever takes it: one of them may write plain text.

    Raises:
        StoreUnavailableError: It is none that may hold a secret.
    """
    try:
        backend = keyring.get_keyring() if given is None else given
        members = list(backend.backends) if isinstance(backend, ChainerBackend) else [backend]
        flaws = [_flaw(member) for member in members]
    except BaseException as error:  # noqa: BLE001 - whatever somebody else's library raises
        refused = refusal(error)
    else:
        for member, flaw in zip(members, flaws, strict=True):
            if flaw is None:
                return member
        reason = next(iter(flaws), None) or "the chain of keyrings is empty"
        refused = StoreUnavailableError(f"{reason}: {_ENABLE}")
    raise refused


def _flaw(backend: KeyringBackend) -> str | None:
    kinds = type(backend).__mro__
    modules = {kind.__module__ for kind in kinds}
    if "keyring.backends.fail" in modules:
        return "there is no keyring"
    if "keyring.backends.null" in modules:
        return "the keyring is switched off: its `null` back-end keeps nothing"
    if any(kind.__module__.startswith("keyrings.alt") or "plaintext" in kind.__name__.lower() for kind in kinds):
        return f"the keyring is a stopgap that keeps plain text or little better ({_named(backend)}), and is not used"
    if type(backend).priority < _LEAST_PRIORITY:
        return f"the keyring is one that its own library does not recommend ({_named(backend)})"
    return None


def _named(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"
