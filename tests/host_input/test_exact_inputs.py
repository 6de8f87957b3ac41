"""Instances of subclasses of built-in types reach the server and the stores as their built-in values."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mimi_async import (
    AnonymousId,
    Audiogram,
    ConfigurationError,
    HearingTestResult,
    InvalidInputError,
    LogInAnonymously,
    MimiCore,
    wire,
)
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.secret import AccessToken, Secret
from mimi_async.stores import IdentityStore, MemoryStore, SQLiteStore, StoredIdentity, copy_records
from mimi_async.testing import IdentityServer
from mimi_async.testing.store_contract_base import fresh_active

from .conftest import view
from .subclasses import (
    Account,
    DatetimeSubclass,
    FloatSubclass,
    Impostor,
    IntegerSubclass,
    Sex,
    TextSubclass,
    Year,
    class_of,
    is_exact,
)

LEVELS = dict.fromkeys(FREQUENCIES, 10.0)
NOON = dt.datetime(2026, 5, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"year_of_birth": object()}, "year_of_birth"),
        ({"sex": TextSubclass("female")}, "sex"),
        ({"sex": "\ud800"}, "sex"),
    ],
    ids=["an object", "a text of another class", "half a character"],
)
def test_what_can_not_be_encoded_is_invalid_input_that_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{field} holds a value") as caught:
        wire.patch_user(changes, AccessToken("token"))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_field_inside_another_is_named_by_its_path() -> None:
    class Theirs(HearingTestResult):
        @property
        def right(self) -> Any:
            return [(hz, TextSubclass("loud") if hz == 4000 else 10.0) for hz in FREQUENCIES]

    result = object.__new__(Theirs)
    for name, value in (("taken_at", NOON), ("calibrated", False), ("left", Audiogram(LEVELS))):
        object.__setattr__(result, name, value)
    with pytest.raises(InvalidInputError, match=r"^right\.4000 holds a value"):
        wire.submit_test(result, Secret("k" * 32), AccessToken("token"))


@pytest.mark.parametrize("account", [TextSubclass("anna"), Account.ANNA], ids=class_of)
async def test_an_account_of_another_class_is_the_account_that_its_text_names(
    server: IdentityServer, tmp_path: Path, account: str
) -> None:
    store = SQLiteStore(tmp_path / "ids")
    asked: list[type] = []

    async def known_id(account: str) -> None:
        asked.append(type(account))

    async with MimiCore(server.credentials, server=server.url, store=store, account=None, known_id=known_id) as core:
        auth = await core.auth_for(account)
        user = await auth.ensure_user()
        assert await core.present(view, account=account) == user
        assert await core.auth_for("anna") is auth
        assert is_exact(auth.account, str)
    assert asked == [str, str]
    async with MimiCore(server.credentials, server=server.url, store=store, account="anna") as core:
        assert core.auth.current_user == user
    assert server.users == 1


async def test_an_account_that_claims_to_equal_another_does_not_get_its_user(server: IdentityServer) -> None:
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore(), account=None) as core:
        anna = await (await core.auth_for("anna")).ensure_user()
        assert await core.present(view, account=TextSubclass("ben")) is None  # its hash and its == are those of "anna"
        assert (await (await core.auth_for(TextSubclass("ben"))).ensure_user()) != anna
    assert server.users == 2


async def test_values_of_other_classes_arrive_at_the_server(server: IdentityServer) -> None:
    moment = DatetimeSubclass(2026, 5, 2, 12, tzinfo=NOON.tzinfo)
    points = dict.fromkeys(FREQUENCIES, FloatSubclass(20))
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore()) as core:
        await core.auth.ensure_user()
        user = await core.auth.update_user(year_of_birth=Year.BORN, sex=Sex.FEMALE)  # type: ignore[arg-type]  # on purpose
        assert (user.year_of_birth, user.sex) == (1980, "female")
        user = await core.auth.update_user(year_of_birth=IntegerSubclass(1970), sex=TextSubclass("male"))  # type: ignore[arg-type]  # on purpose
        assert (user.year_of_birth, user.sex) == (1970, "male")
        result = HearingTestResult(taken_at=moment, calibrated=False, left=points, right=points)
        kept = await core.auth.submit_hearing_test(result, key=Secret(TextSubclass("k" * 32)))
        assert (kept.taken_at, kept.left.levels) == (NOON, (20.0,) * len(FREQUENCIES))
        assert json.loads(await core.auth.export_data())["user"]["sex"] == "male"


@pytest.mark.parametrize("key", ["k" * 32, 17, b"k" * 32, Impostor(Secret)], ids=class_of)
async def test_a_key_of_a_test_is_a_secret(server: IdentityServer, key: Any) -> None:
    result = HearingTestResult(taken_at=NOON, calibrated=False, left=LEVELS, right=LEVELS)
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore()) as core:
        await core.auth.ensure_user()
        asked = len(server.requests)
        with pytest.raises(InvalidInputError, match=r"key is a Secret\(text\)"):
            await core.auth.submit_hearing_test(result, key=key)
        assert len(server.requests) == asked


async def test_a_known_id_that_only_claims_to_be_one_is_refused(server: IdentityServer) -> None:
    async def known_id(_: str) -> Any:
        return Impostor(AnonymousId)

    core = MimiCore(server.credentials, server=server.url, store=MemoryStore(), account=None, known_id=known_id)
    async with core:
        with pytest.raises(ConfigurationError, match="known_id returned a Impostor"):
            await core.auth_for("anna")
    with pytest.raises(InvalidInputError, match="takes an AnonymousId"):
        LogInAnonymously(Impostor(AnonymousId))
    assert server.users == 0


async def test_accounts_that_a_partners_store_lists_are_copied_as_texts(tmp_path: Path) -> None:
    class Theirs(MemoryStore):
        async def accounts(self) -> AsyncIterator[str]:
            async for account in super().accounts():
                yield TextSubclass(account)

        async def load(self, account: str) -> StoredIdentity | None:
            return await super().load(str.__str__(account))

    source: IdentityStore = Theirs()
    record = await source.claim("ben", fresh_active())
    async with SQLiteStore(tmp_path / "ids") as target:
        copy = await copy_records(source, target)
        assert (copy.copied, await target.load("ben")) == (1, record)
