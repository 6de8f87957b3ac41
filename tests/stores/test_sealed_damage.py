"""A sealed record that can't be opened is damage, never another id or "no record"; a lost key loses no user."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import chain, islice
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mimi_async import StoreCorruptError
from mimi_async.errors import ConfigurationError
from mimi_async.secret import SealedSecret
from mimi_async.stores import DamagedIdentity, IdentityStore, MemoryStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.stores.sealed import _binding
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.auth.stores_for_tests import WatchedStore
from tests.conftest import rounds

from .keyrings import store_at
from .rows import behind_the_back_of, cuts, flips

KEY, OTHER_KEY = (Fernet.generate_key() for _ in range(2))
MISSING = "a key is missing, or it is damaged; it was kept: give SealedStore every key"


def sealed(path: Path, keys: Sequence[bytes] = (KEY,)) -> SealedStore:
    return SealedStore(SQLiteStore(path), keys)


async def catch_damage(call: Awaitable[object], message: str) -> StoreCorruptError:
    with pytest.raises(StoreCorruptError, match=message) as caught:
        await call
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    return error


# Every bit ------------------------------------------------------------------------------------------------------------


async def answers(store: IdentityStore) -> list[object]:
    """What two reads say of a damaged record: the record itself, or the revision that the refusal names."""
    found: list[object] = []
    for call in (store.load("a"), store.claim("a", fresh_pending())):
        try:
            found.append(await call)
        except StoreCorruptError as error:
            found.append(error.revision)
    return found


@pytest.mark.parametrize("has_right_digest", [True, False], ids=["right digest", "stale digest"])
@pytest.mark.parametrize("record", [fresh_active(), fresh_pending()], ids=["active", "pending"])
async def test_every_cut_and_every_bit_flip_of_what_is_sealed_is_damage_or_the_right_id(
    path: Path, record: StoredIdentity, has_right_digest: bool
) -> None:
    async with sealed(path, [OTHER_KEY, KEY]) as store:
        await store.claim("a", record)
        with behind_the_back_of(path) as rows:
            whole = rows.get("secret", "a")
            harmless = 0
            for damaged in islice(chain(cuts(whole), flips(whole)), 0, None, rounds(5, 1)):
                rows.set("secret", damaged)
                if has_right_digest:
                    rows.update_digests()
                found = await answers(store)
                harmless += found == [record, record]
                assert found in ([record.revision] * 2, [record] * 2)
            assert harmless <= (8 if has_right_digest else 0)  # unused bits of the last digit of the base64
            rows.set("secret", whole)
            rows.update_digests()
        assert await store.load("a") == record


# What was altered -----------------------------------------------------------------------------------------------------


async def keep_twice(path: Path) -> StoredIdentity:
    """Keep the records of "a" and "b", sealed by one key; return that of "a"."""
    async with sealed(path) as store:
        await store.claim("b", fresh_active())
        return await store.claim("a", fresh_active())


ALTERATIONS = {
    "the whole row of another account": (
        "UPDATE identities SET (state, secret, user_id, revision) ="
        " (SELECT state, secret, user_id, revision FROM identities WHERE account = 'b') WHERE account = 'a'"
    ),
    "the secret of another account": (
        "UPDATE identities SET secret = (SELECT secret FROM identities WHERE account = 'b') WHERE account = 'a'"
    ),
    "another state": "UPDATE identities SET state = 'rejected' WHERE account = 'a'",
    "a state of another kind": "UPDATE identities SET state = 'pending', user_id = NULL WHERE account = 'a'",
    "another user": "UPDATE identities SET user_id = lower(hex(randomblob(16))) WHERE account = 'a'",
    "no user": "UPDATE identities SET user_id = NULL WHERE account = 'a'",
    "another revision": "UPDATE identities SET revision = randomblob(16) WHERE account = 'a'",
}


@pytest.mark.parametrize("alteration", ALTERATIONS.values(), ids=ALTERATIONS.keys())
async def test_what_was_sealed_for_another_record_is_damage(path: Path, alteration: str) -> None:
    await keep_twice(path)
    with behind_the_back_of(path) as rows:
        rows.connection.execute(alteration)
        rows.update_digests()
        revision = rows.get("revision", "a")
    async with sealed(path) as store:
        for call in (store.load("a"), store.claim("a", fresh_pending()), store.forget("a", None)):
            error = await catch_damage(call, "sealed for another record: another account, state, user or revision")
            assert error.revision == revision
        assert await store.load("b") is not None


async def test_an_older_record_of_the_account_is_not_detected(path: Path) -> None:
    old = await keep_twice(path)
    with behind_the_back_of(path) as rows:
        kept = {column: rows.get(column, "a") for column in ("state", "secret", "revision")}
        async with sealed(path) as store:
            await store.replace("a", old, old.with_state("erasing"))
            for column, value in kept.items():
                rows.set(column, value, "a")
            rows.set("changed_at", bytes(8), "a")
            rows.update_digests()
            found = await store.load("a")
    assert found is not None
    assert (found.secret, found.revision, found.changed_at) == (old.secret, old.revision, 0.0)


async def test_a_record_that_is_not_sealed_is_refused(path: Path) -> None:
    async with SQLiteStore(path) as inner, SealedStore(inner, [KEY]) as store:
        plain = await inner.claim("a", fresh_active())
        error = await catch_damage(
            store.load("a"), "is not sealed, .*; it was kept: copy plain records through a SealedStore"
        )
        assert error.revision == plain.revision
        assert await inner.load("a") == plain


@pytest.mark.parametrize("keys", [[OTHER_KEY], [OTHER_KEY, Fernet.generate_key()]], ids=["one", "two"])
async def test_a_record_that_no_key_opens_is_refused_and_kept(path: Path, keys: list[bytes]) -> None:
    record = await keep_twice(path)
    async with sealed(path, keys) as store:
        for call in (
            store.load("a"),
            store.claim("a", fresh_pending()),
            store.replace("a", None, fresh_pending()),
            store.replace("a", fresh_active(), fresh_pending()),
            store.forget("a", None),
            store.forget("a", fresh_active()),
            store.forget("a", DamagedIdentity(bytes(16))),
        ):
            assert (await catch_damage(call, MISSING)).revision == record.revision
    async with sealed(path) as store:
        assert await store.load("a") == record


@pytest.mark.parametrize("content", [b"no id", b"\xff", b"0" * 64, b""])
async def test_what_no_sealed_store_has_sealed_is_damage(content: bytes) -> None:
    inner, record = MemoryStore(), fresh_active()
    token = Fernet(KEY).encrypt(_binding("a", record) + content).decode()
    fields = {"state": "active", "user_id": record.user_id, "revision": record.revision}
    await inner.claim("a", StoredIdentity.read(secret=f"sealed:{token}", changed_at=0.0, **fields))
    await catch_damage(SealedStore(inner, [KEY]).load("a"), "sealed for another record")


@pytest.mark.parametrize("text", ["sealed:\xe4", "sealed:\ud800", "sealed:\n", "seale:"])
def test_a_sealed_secret_is_printable_ascii(text: str) -> None:
    with pytest.raises(ValueError, match=r"a sealed secret is printable ASCII and begins with 'sealed:'"):
        StoredIdentity(state="active", secret=SealedSecret(text), user_id=None)


# Quarantine -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite", "sealed", "keyring"])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[IdentityStore]:
    make: dict[str, Callable[[], IdentityStore]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(path),
        "sealed": lambda: sealed(path),
        "keyring": lambda: store_at(path.parent),
    }
    async with make[request.param]() as store:
        yield store


async def test_only_the_expected_record_is_quarantined(store: IdentityStore) -> None:
    record, other = await store.claim("a", fresh_active()), await store.claim("b", fresh_active())
    assert await store.quarantine("a", fresh_active()) == record
    assert await store.quarantine("c", record) is None
    assert await store.load("a") == record
    assert await store.quarantine("a", record) is None
    assert await store.load("a") is None
    assert await store.quarantine("a", record) is None
    new = await store.claim("a", fresh_pending())
    assert await store.quarantine("a", record) == new
    assert [await store.load("a"), await store.load("b")] == [new, other]


async def test_a_damaged_row_is_not_quarantined_as_an_intact_one(path: Path) -> None:
    async with SQLiteStore(path) as store:
        record = await store.claim("a", fresh_active())
        with behind_the_back_of(path) as rows:
            rows.set("secret", b"gone")
        await catch_damage(store.quarantine("a", record), "can't be read")


async def test_nothing_is_deleted_where_the_inner_store_has_no_quarantine() -> None:
    inner = WatchedStore(MemoryStore())
    record = await SealedStore(inner, [KEY]).claim("a", fresh_active())
    with pytest.raises(ConfigurationError, match=r"a WatchedStore can't quarantine a record: .* the record was kept"):
        await SealedStore(inner, [OTHER_KEY]).forget("a", DamagedIdentity(record.revision))
    assert await SealedStore(inner, [KEY]).load("a") == record


async def test_a_memory_store_keeps_its_quarantine() -> None:
    inner = MemoryStore()
    record = await SealedStore(inner, [KEY]).claim("a", fresh_active())
    kept = await inner.load("a")
    assert await SealedStore(inner, [OTHER_KEY]).forget("a", DamagedIdentity(record.revision)) is None
    assert inner.quarantined == [("a", kept)]
