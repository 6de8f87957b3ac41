"""What a keyring answers, and what it means: never plain text, never a guess, always a remedy."""

from collections.abc import Awaitable, Callable
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
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, Verb, failing_with, keyring_at, marker_at, nothing, store_at

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
OTHER_STORE = r"enable one for this session .* use another store, such as SQLiteStore"


class Stopgap(FileKeyring):
    """As those of keyrings.alt."""

    priority = 5


Stopgap.__module__ = "keyrings.alt.file"


class PlaintextKeyring(FileKeyring):
    """A file of somebody else's that has nothing else against it."""


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
            """Want an argument, so that the library never makes one by itself."""

    return Chain(None)


def bare(kind: Any) -> Callable[[Path], KeyringBackend]:
    return lambda _: kind()


REFUSED: dict[str, tuple[Callable[[Path], KeyringBackend], str]] = {
    "fail": (bare(keyring.backends.fail.Keyring), "there is no keyring"),
    "null": (bare(keyring.backends.null.Keyring), "is switched off: its `null` back-end keeps nothing"),
    "keyrings.alt": (Stopgap, r"plain text or little better \(keyrings\.alt\.file\.Stopgap\), and is not used"),
    "plain text": (PlaintextKeyring, r"plain text or little better .*PlaintextKeyring\), and is not used"),
    "discouraged": (Discouraged, "its own library does not recommend"),
    "unusable": (OfAnotherSystem, r"the keyring failed \(TypeError in "),
    "a chain of these": (lambda path: chain(Stopgap(path), Discouraged(path)), "plain text or little better"),
    "an empty chain": (lambda _: chain(), "the chain of keyrings is empty"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_keyring_that_may_hold_no_secret_is_refused_at_the_door(
    tmp_path: Path, make: Callable[[Path], KeyringBackend], reason: str
) -> None:
    with pytest.raises(StoreUnavailableError, match=rf"{reason}.*{OTHER_STORE}"):
        async with store_at(tmp_path, make(tmp_path / "plain")):
            pass
    assert not (tmp_path / "plain").exists()


async def test_out_of_a_chain_the_first_that_is_fit_is_used_and_no_other(tmp_path: Path) -> None:
    stopgap, fit = Stopgap(tmp_path / "plain"), keyring_at(tmp_path)
    record = fresh_active()
    async with store_at(tmp_path, chain(stopgap, fit)) as store:
        await store.claim("a", record)
        assert await store.load("b") is None
    async with store_at(tmp_path, fit) as store:
        assert await store.load("a") == record
    assert stopgap.asked == []


async def test_a_library_that_can_not_choose_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", failing_with(ImportError("no module named keyrings.gone")))
    with pytest.raises(StoreUnavailableError, match=rf"the keyring failed \(ImportError in .*{OTHER_STORE}"):
        async with KeyringStore("a", folder=tmp_path):
            pass


FAILURES: dict[str, tuple[BaseException, str]] = {
    "locked": (keyring.errors.KeyringLocked(SECRET), "is locked; what it holds was kept: unlock it and try again"),
    "gone": (keyring.errors.NoKeyringError(SECRET), f"there is no keyring; what it holds was kept: {OTHER_STORE}"),
    "no session": (keyring.errors.InitError(SECRET), f"can't be opened; .* unlock it, or {OTHER_STORE}"),
    "set": (keyring.errors.PasswordSetError(SECRET), "refused to write; what it holds was kept: unlock it"),
    "delete": (keyring.errors.PasswordDeleteError(SECRET), "refused to delete; what it holds was kept: unlock it"),
    "any": (LookupError(SECRET), rf"failed \(LookupError in fail \(.*\)\); what it holds was kept: .*{OTHER_STORE}"),
    "unicode": (UnicodeEncodeError("utf-8", SECRET, 0, 1, ""), r"failed \(UnicodeEncodeError in "),
    "system": (OSError(5, SECRET), r"failed \(OSError in "),
    "exit": (SystemExit(SECRET), r"failed \(SystemExit in "),
    "interrupt": (KeyboardInterrupt(SECRET), r"failed \(KeyboardInterrupt in "),
}


@pytest.mark.parametrize(("failure", "words"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("call", ["load", "replace", "forget"])
async def test_a_failure_is_told_with_its_remedy_and_without_its_text(
    tmp_path: Path, failure: BaseException, words: str, call: str
) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        backend.before = lambda verb: failing_with(failure)() if verb == ("get" if call == "load" else "set") else None
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "load": lambda: store.load("a"),
            "replace": lambda: store.replace("a", record, fresh_active()),
            "forget": lambda: store.forget("a", record),
        }
        with pytest.raises(StoreUnavailableError, match=words) as caught:
            await calls[call]()
        assert caught.value.retryable
        assert caught.value.__cause__ is caught.value.__context__ is None
        assert SECRET not in f"{caught.value!r} {caught.value.__dict__}"
        backend.before = lambda _: None
        assert await store.load("a") == record


@pytest.mark.parametrize("verb", ["get", "set"])
async def test_a_failure_in_a_first_claim_spoils_nothing(tmp_path: Path, verb: Verb) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        for moment in ("before", "after"):
            setattr(backend, moment, lambda each: failing_with(LookupError())() if each == verb else None)
            with pytest.raises(StoreUnavailableError):
                await store.claim(moment, fresh_pending())
            setattr(backend, moment, lambda _: None)
            record = fresh_pending()
            assert await store.claim(moment, record) == await store.load(moment)


@pytest.mark.parametrize("answer", [b"bytes", 7, object()], ids=["bytes", "a number", "an object"])
async def test_an_answer_that_is_no_text_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(FileKeyring, "get_password", lambda *_: answer)
    async with store_at(tmp_path) as store:
        with pytest.raises(StoreUnavailableError, match=r"answered with .* in place of a text"):
            await store.load("a")


async def test_a_keyring_that_changes_what_it_is_given_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        backend.after = lambda verb: backend.spoil("a", b"something else") if verb == "set" else None
        with pytest.raises(StoreUnavailableError, match="did not keep what was written to it"):
            await store.claim("a", fresh_pending())


@pytest.mark.parametrize("failure", [nothing, *(failing_with(failure) for failure, _ in FAILURES.values())])
async def test_a_keyring_that_deletes_nothing_keeps_a_tombstone_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[..., Any]
) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        with monkeypatch.context() as patched:
            patched.setattr(backend, "delete_password", failure)
            assert await store.forget("a", record) is None
            assert await store.load("a") is None
            assert [account async for account in store.accounts()] == []
            assert not any(record.secret.reveal().encode() in text for text in backend.entries().values())
            again = await store.claim("a", fresh_active())
            assert await store.forget("a", again) is None
        assert await store.load("a") is None
        assert backend.entries() == {}
        assert not marker_at(tmp_path).exists()
