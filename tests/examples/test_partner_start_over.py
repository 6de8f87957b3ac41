"""Start over: a rejected id is quarantined, never lost, and no user is created without a call."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import pytest

from examples.partner_service.product import Product
from examples.partner_service.start_over import start_over
from mimi_async import (
    AnonymousId,
    MimiCore,
    MimiUser,
    NotStartedError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.testing import IdentityServer

from .sites import product_of

ANNA = "anna"
AN_ID = AnonymousId("12345678-1234-1234-1234-123456789abc")
ANOTHER_ID = AnonymousId("aaaaaaaa-1234-1234-1234-123456789abc")


@pytest.fixture
def player(mimi_server: IdentityServer, tmp_path: Path) -> Product:
    return product_of(mimi_server, tmp_path)


async def onboarded(product: Product) -> MimiUser:
    async with product.core(None) as core:
        return await (await core.auth_for(ANNA)).ensure_user()


@asynccontextmanager
async def rejecting(server: IdentityServer, product: Product, times: int = 2) -> AsyncIterator[MimiCore]:
    """Run a core whose account is rejected, `times` times in all."""
    server.fail("/v1/sessions", problem="unknown-anonymous-id", times=times)
    async with product.core(None) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth_for(ANNA)
        yield core
    server.clear_faults()


class Core:
    """A core whose `start_over` records the id in the partner's table and fails."""

    def __init__(self, product: Product, failure: Exception) -> None:
        self._product, self._failure = product, failure
        self.known: list[AnonymousId | None] = []

    async def start_over(self, account: str, *, drop: object) -> None:
        self.known.append(await self._product.accounts.known_id(account))
        raise self._failure


async def test_a_rejected_id_is_quarantined_once_and_a_new_user_may_be_created(
    mimi_server: IdentityServer, player: Product
) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player) as core:
        for _ in range(2):
            await start_over(player, core, ANNA)
        auth = await core.auth_for(ANNA)
        assert auth.current_user is None
        assert await player.accounts.known_id(ANNA) is None
        new = await auth.ensure_user()
        await start_over(player, core, ANNA)
        assert auth.current_user == new

    assert new.id != user.id
    assert await player.accounts.known_id(ANNA) == new.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == [user.anonymous_id]
    assert await onboarded(player) == new


async def test_the_support_can_bring_the_profile_back(mimi_server: IdentityServer, player: Product) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player) as core:
        await start_over(player, core, ANNA)
    await player.accounts.bring_back(ANNA, user.anonymous_id)

    assert await onboarded(player) == user
    assert await player.accounts.quarantined_ids(ANNA) == []


async def test_a_failed_start_over_quarantines_nothing(mimi_server: IdentityServer, player: Product) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player):
        failing = Core(player, StoreUnavailableError("locked"))
        with pytest.raises(StoreUnavailableError):
            await start_over(player, cast("Any", failing), ANNA)

    assert failing.known == [user.anonymous_id]
    assert await player.accounts.known_id(ANNA) == user.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == []


async def test_an_id_that_is_known_again_is_kept_and_the_user_is_back(
    mimi_server: IdentityServer, player: Product
) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player, times=1) as core:
        await start_over(player, core, ANNA)
        assert (await core.auth_for(ANNA)).current_user == user

    assert await player.accounts.known_id(ANNA) == user.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == []


async def test_a_start_over_that_was_cut_off_before_the_quarantine_goes_on(
    mimi_server: IdentityServer, player: Product
) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player, times=4) as core:
        assert await core.start_over(ANNA) == user.anonymous_id
        with pytest.raises(UnknownAnonymousIdError):  # the table has given it
            await (await core.auth_for(ANNA)).find_user()
        await start_over(player, core, ANNA)
        assert (await core.auth_for(ANNA)).current_user is None

    assert await player.accounts.known_id(ANNA) is None
    assert await player.accounts.quarantined_ids(ANNA) == [user.anonymous_id]


async def test_a_core_that_has_been_left_quarantines_nothing(mimi_server: IdentityServer, player: Product) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player) as core:
        pass
    with pytest.raises(NotStartedError):
        await start_over(player, core, ANNA)

    assert await player.accounts.known_id(ANNA) == user.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == []


async def test_an_accepted_id_stays_also_where_the_table_holds_another(player: Product) -> None:
    user = await onboarded(player)
    async with player.core("ben") as other:
        good = await other.auth.ensure_user()
    async with player.core(None) as core:
        auth = await core.auth_for(ANNA)
        await start_over(player, core, ANNA)
        assert await player.accounts.known_id(ANNA) == user.anonymous_id
        await player.accounts.keep(ANNA, good.anonymous_id)
        await start_over(player, core, ANNA)
        assert auth.current_user == user


async def test_another_id_of_the_account_is_used_to_log_in(mimi_server: IdentityServer, player: Product) -> None:
    user = await onboarded(player)
    async with rejecting(mimi_server, player) as core:
        async with player.core("ben") as other:
            good = await other.auth.ensure_user()
        await player.accounts.keep(ANNA, good.anonymous_id)
        await start_over(player, core, ANNA)
        auth = await core.auth_for(ANNA)
        assert auth.current_user == good

    assert await player.accounts.known_id(ANNA) == good.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == [user.anonymous_id]


async def test_a_damaged_record_is_replaced_from_the_partners_id(player: Product) -> None:
    user = await onboarded(player)
    with closing(sqlite3.connect(player.store)) as store, store:
        store.execute("UPDATE identities SET secret = 'damaged' WHERE account = ?", (ANNA,))
    async with player.core(None) as core:
        with pytest.raises(StoreCorruptError):
            await core.auth_for(ANNA)
        await start_over(player, core, ANNA)
        auth = await core.auth_for(ANNA)
        assert auth.current_user == user

    assert await player.accounts.known_id(ANNA) == user.anonymous_id
    assert await player.accounts.quarantined_ids(ANNA) == []


async def test_a_replaced_id_is_quarantined_and_not_brought_back_over_another(player: Product) -> None:
    for anonymous_id in (AN_ID, AN_ID, ANOTHER_ID, ANOTHER_ID):
        await player.accounts.keep(ANNA, anonymous_id)
    assert await player.accounts.quarantined_ids(ANNA) == [AN_ID]
    await player.accounts.bring_back(ANNA, AN_ID)
    assert await player.accounts.known_id(ANNA) == ANOTHER_ID
    assert await player.accounts.quarantined_ids(ANNA) == [AN_ID]
    await player.accounts.keep(ANNA, AN_ID)
    assert await player.accounts.quarantined_ids(ANNA) == [ANOTHER_ID]


async def test_an_erased_id_is_deleted_from_the_table_and_the_quarantine(player: Product) -> None:
    await player.accounts.keep(ANNA, AN_ID)
    await player.accounts.quarantine(ANNA, AN_ID)
    await player.accounts.quarantine(ANNA, ANOTHER_ID)
    await player.accounts.drop(ANNA, AN_ID)

    assert await player.accounts.quarantined_ids(ANNA) == [ANOTHER_ID]
