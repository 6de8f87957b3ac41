"""A record of a store: what it may hold, and what it never shows."""

import uuid
from pathlib import Path
from unittest import mock

import pytest

from mimi_async.errors import InvalidInputError, StoreCorruptError
from mimi_async.secret import AnonymousId, CreateKey, Secret
from mimi_async.stores import SQLiteStore, StoredIdentity
from mimi_async.stores.base import State
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

ID = AnonymousId(str(uuid.uuid4()))
KEY = CreateKey.generate()
USER = uuid.uuid4().hex

MISSHAPEN: dict[str, dict[str, object]] = {
    "its state is unknown": {"state": "gone"},
    "a record that is active holds AnonymousId, not CreateKey": {"secret": KEY},
    "a record that is pending holds CreateKey, not AnonymousId": {"state": "pending", "user_id": None},
    "a create key is 64 hex digits": {"state": "pending", "secret": CreateKey("short"), "user_id": None},
    "a user_id is 32 hex digits": {"user_id": "someone"},
    "and None while pending": {"state": "pending", "secret": KEY},
    "a revision is 16 bytes": {"revision": b"short"},
    "changed_at is a number of seconds": {"changed_at": float("nan")},
}


@pytest.mark.parametrize("flaw", MISSHAPEN)
def test_refuses_values_that_no_store_could_read_again(flaw: str) -> None:
    fields: dict[str, object] = {"state": "active", "secret": ID, "user_id": USER, **MISSHAPEN[flaw]}
    with pytest.raises(InvalidInputError, match=flaw) as caught:
        StoredIdentity(**fields)  # type: ignore[arg-type]  # the wrong types are the test
    assert not [secret for secret in (ID, KEY) if secret.reveal() in str(caught.value)]


@pytest.mark.parametrize("flaw", MISSHAPEN)
async def test_what_another_program_wrote_in_the_wrong_shape_is_damage(tmp_path: Path, flaw: str) -> None:
    changes = {name: value.reveal() if isinstance(value, Secret) else value for name, value in MISSHAPEN[flaw].items()}
    changed_at = changes.get("changed_at", 0.0)
    changes["changed_at"] = 9e999 if changed_at != 0.0 else changed_at
    fields = {"state": "active", "secret": ID.reveal(), "user_id": USER, "revision": bytes(16), **changes}
    row = (fields["state"], mock.Mock(reveal=lambda: fields["secret"]), *list(fields.values())[2:])
    record = mock.Mock(state=row[0], secret=row[1], user_id=row[2], revision=row[3], changed_at=row[4])
    async with SQLiteStore(tmp_path / "ids.sqlite3") as store:
        await store.replace("a", None, record)
        with pytest.raises(StoreCorruptError) as caught:
            await store.load("a")
    assert caught.value.revision


def test_shows_neither_the_id_nor_the_key() -> None:
    for record in (fresh_active(), fresh_pending()):
        assert record.secret.reveal() not in repr(record)


@pytest.mark.parametrize("state", ["active", "rejected", "erasing"])
def test_becomes_a_record_of_the_same_user_in_another_state(state: State) -> None:
    record = fresh_active()
    with_state = record.with_state(state)
    assert (with_state.state, with_state.secret, with_state.user_id) == (state, record.secret, record.user_id)
    assert with_state.revision != record.revision
    assert with_state.anonymous_id == record.anonymous_id
    assert fresh_pending().anonymous_id is None
