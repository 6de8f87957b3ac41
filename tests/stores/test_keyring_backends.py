"""Which keyrings are refused, and what a failure of a keyring means: never plain text, always a remedy."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keyring
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import KeyringStore
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from .keyrings import FileKeyring, Verb, do_nothing, failing_with, failure_of, fingerprint_at, keyring_at, store_at

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
OTHER_STORE = r"enable one for this session .* use another store, such as SQLiteStore"


class AltKeyring(FileKeyring):
    """Stands for those of keyrings.alt."""


AltKeyring.__module__ = "keyrings.alt.file"


class PlaintextKeyring(FileKeyring):
    """Only its name says what it is."""


class Discouraged(FileKeyring):
    priority = 0.5  # type: ignore[assignment]  # one that its library does not recommend


class OfAnotherSystem(FileKeyring):
    @property
    def priority(self) -> int:  # type: ignore[override]  # a class property of keyring's
        return 5


def chain(*members: KeyringBackend) -> KeyringBackend:
    class Chain(keyring.backends.chainer.ChainerBackend):
        backends: ClassVar = list(members)

        def __init__(self, _: object) -> None:
            """Require an argument, so that the library never makes an instance."""

    return Chain(None)


def without_file(kind: Any) -> Callable[[Path], KeyringBackend]:
    return lambda _: kind()


REFUSED: dict[str, tuple[Callable[[Path], KeyringBackend], str]] = {
    "fail": (without_file(keyring.backends.fail.Keyring), "there is no keyring"),
    "null": (without_file(keyring.backends.null.Keyring), "is switched off: its `null` back end stores nothing"),
    "keyrings.alt": (AltKeyring, r"stores plain text, or .* \(keyrings\.alt\.file\.AltKeyring\), and is not used"),
    "plain text": (PlaintextKeyring, r"stores plain text, or .*PlaintextKeyring\), and is not used"),
    "discouraged": (Discouraged, "library does not recommend"),
    "unusable": (OfAnotherSystem, r"the keyring failed \(TypeError in "),
    "a chain of these": (lambda path: chain(AltKeyring(path), Discouraged(path)), "stores plain text"),
    "an empty chain": (lambda _: chain(), "the chain of keyrings is empty"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_keyring_that_can_hold_no_secret_is_refused_and_no_file_is_created(
    tmp_path: Path, make: Callable[[Path], KeyringBackend], reason: str
) -> None:
    failure = await failure_of(store_at(tmp_path, make(tmp_path / "plain")))
    assert re.search(rf"{reason}.*{OTHER_STORE}", str(failure))
    assert list(tmp_path.iterdir()) == []


async def test_of_a_chain_the_first_fit_member_is_used_and_no_other(tmp_path: Path) -> None:
    alt, fit = AltKeyring(tmp_path / "plain"), keyring_at(tmp_path)
    async with store_at(tmp_path, chain(alt, fit)) as store:
        record = await store.claim("a", fresh_active())
    async with store_at(tmp_path, fit) as store:
        assert await store.load("a") == record
    assert alt.calls == []


async def test_a_library_that_can_not_choose_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", failing_with(ImportError(SECRET)))
    failure = await failure_of(KeyringStore("a", path=tmp_path / "ids"), SECRET)
    assert re.search(rf"the keyring failed \(ImportError in .*{OTHER_STORE}", str(failure))


FAILURES: dict[str, tuple[BaseException, str]] = {
    "locked": (keyring.errors.KeyringLocked(SECRET), "is locked; what it holds was kept: unlock it and try again"),
    "gone": (keyring.errors.NoKeyringError(SECRET), f"there is no keyring; what it holds was kept: {OTHER_STORE}"),
    "no session": (keyring.errors.InitError(SECRET), f"can't be opened; .* unlock it, or {OTHER_STORE}"),
    "set": (keyring.errors.PasswordSetError(SECRET), "refused to write; what it holds was kept: unlock it"),
    "delete": (keyring.errors.PasswordDeleteError(SECRET), "refused to delete; what it holds was kept: unlock it"),
    "any": (LookupError(SECRET), rf"failed \(LookupError in fail \(.*\)\); what it holds was kept: .*{OTHER_STORE}"),
    "timeout": (TimeoutError(SECRET), r"failed \(TimeoutError in "),
    "unicode": (UnicodeEncodeError("utf-8", SECRET, 0, 1, ""), r"failed \(UnicodeEncodeError in "),
    "exit": (SystemExit(SECRET), r"failed \(SystemExit in "),
    "interrupt": (KeyboardInterrupt(SECRET), r"failed \(KeyboardInterrupt in "),
}


@pytest.mark.parametrize(("failure", "words"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("is_new", [False, True], ids=["an old file", "a new file"])
async def test_a_failure_is_raised_with_its_remedy_and_without_its_text(
    tmp_path: Path, failure: BaseException, words: str, is_new: bool
) -> None:
    record = fresh_active()
    if not is_new:
        async with store_at(tmp_path) as store:
            await store.claim("a", record)
    before = keyring_at(tmp_path).entries()
    backend = keyring_at(tmp_path)
    backend.before = failing_with(failure)
    store = store_at(tmp_path, backend)
    assert re.search(words, str(await failure_of(store, SECRET)))
    assert backend.entries() == before
    backend.before = do_nothing
    async with store:
        assert await store.load("a") == (None if is_new else record)


@pytest.mark.parametrize("verb", ["get", "set"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_failure_at_the_first_start_leaves_one_key_in_the_end(tmp_path: Path, verb: Verb, moment: str) -> None:
    backend = keyring_at(tmp_path)
    store = store_at(tmp_path, backend)
    for _ in range(3):
        setattr(backend, moment, lambda each: failing_with(LookupError())() if each == verb else None)
        with pytest.raises(StoreUnavailableError):
            await store.__aenter__()
        assert fingerprint_at(tmp_path) is None
        setattr(backend, moment, do_nothing)
    async with store:
        await store.claim("a", fresh_pending())
    assert list(backend.entries()) == [fingerprint_at(tmp_path)]


@pytest.mark.parametrize("answer", [b"bytes", 7, object()], ids=["bytes", "a number", "an object"])
async def test_an_answer_that_is_not_a_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    async with store_at(tmp_path):
        pass
    monkeypatch.setattr(FileKeyring, "get_password", lambda *_: answer)
    with pytest.raises(StoreUnavailableError, match=r"answered with .* in place of a text"):
        await store_at(tmp_path).__aenter__()
