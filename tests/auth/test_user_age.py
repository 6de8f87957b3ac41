"""What a view shows is fresh, and what it changes is what it has shown: several processes on one account."""

import asyncio
from typing import Any

import pytest

from mimi_async import (
    ConfigurationError,
    MimiCore,
    NotAuthenticatedError,
    Profile,
    ProfileConfiguration,
    ProfileLauncher,
    ServerUnreachableError,
    TestFlow,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore

from ..doubles import whose
from ..internals import state_of
from .launches import App, returning
from .processes import Processes

USER = "/v1/user"
GET = ("GET", USER)
ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)
VIEWS = [Profile(ANONYMOUS), ProfileLauncher(ANONYMOUS), TestFlow()]
each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: type(view).__name__)


async def test_a_profile_shows_what_another_process_has_changed(processes: Processes) -> None:
    changed = await processes.one.auth.update_user(year_of_birth=1970)
    assert (await processes.other.present(Profile(ANONYMOUS))).user == changed
    assert (await processes.one.present(ProfileLauncher(ANONYMOUS))).user == changed
    assert processes.other.auth.current_user == changed


async def test_a_profile_shows_the_user_that_another_process_has_made(app: App) -> None:
    async with app.core(user_max_age=0) as one, app.core(user_max_age=0) as other:
        assert (await other.present(Profile(ANONYMOUS))).user is None
        screen = await (await one.present(Profile(ANONYMOUS))).onboard(year_of_birth=1980)
        assert (await other.present(Profile(ANONYMOUS))).user == screen.user
    assert app.server.users == 1


async def test_a_profile_shows_no_user_that_another_process_has_erased(processes: Processes) -> None:
    await processes.one.auth.reset()
    assert (await processes.other.present(Profile(ANONYMOUS))).user is None
    with pytest.raises(NotAuthenticatedError):
        await processes.other.present(TestFlow())


async def test_the_observers_get_what_a_view_has_read(processes: Processes) -> None:
    old = processes.other.auth.current_user
    new = await processes.one.auth.update_user(sex="male")
    processes.app.observer.updates.clear()
    await processes.other.present(Profile(ANONYMOUS))
    assert processes.app.observer.kinds == [(new, old, None)]


@each_view
async def test_a_view_asks_nothing_while_the_user_is_fresh(view: Any, app: App) -> None:
    await app.first_launch()
    async with app.core(user_max_age=1e6) as core:
        for _ in range(3):
            await core.present(view)
    assert app.asked == [("POST", "/v1/sessions")]


@each_view
async def test_a_view_asks_again_when_the_user_is_older_than_the_setting(
    view: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.first_launch()
    async with app.core() as core:
        await core.present(view)
        assert GET not in app.asked
        age(core, 5.1)
        await core.present(view)
        await core.present(view)
        assert app.asked.count(GET) == 1
        age(core, 4.0)
        await core.present(view)
    assert app.asked.count(GET) == 1


def age(core: MimiCore, seconds: float) -> None:
    """Let the user have been read earlier."""
    state_of(core.auth).read_at -= seconds


async def test_a_user_that_did_not_change_costs_a_304(processes: Processes) -> None:
    for _ in range(4):
        await processes.one.present(Profile(ANONYMOUS))
    assert processes.replies[-4:] == [200, 304, 304, 304]


async def test_a_bare_view_of_a_restored_account_asks_nothing(processes: Processes) -> None:
    processes.app.clear_records()
    assert await processes.one.present(whose) == processes.one.auth.current_user
    assert await processes.one.auth.ensure_user() == processes.one.auth.current_user
    assert processes.app.asked == []


async def test_many_views_of_a_stale_user_ask_once(app: App) -> None:
    await app.first_launch()
    async with app.core(user_max_age=60) as core:
        age(core, 61)
        async with app.server.hold(USER) as held:
            views = [asyncio.create_task(core.present(Profile(ANONYMOUS))) for _ in range(50)]
            await held.arrived.wait()
            held.release()
            await asyncio.gather(*views)
    assert app.asked.count(GET) == 1


@each_view
async def test_a_view_shows_nothing_while_it_is_not_known_whether_the_user_changed(
    view: Any, processes: Processes
) -> None:
    await processes.app.server.stop()
    with pytest.raises(ServerUnreachableError) as failed:
        await processes.one.present(view)
    assert failed.value.retryable
    assert not isinstance(failed.value, ViewsClosedError)
    user = processes.one.auth.current_user
    assert await processes.one.present(whose) == user
    await processes.app.server.start()
    await processes.one.present(view)


async def test_ensure_user_asks_again_for_a_user_older_than_it_may_be(processes: Processes) -> None:
    changed = await processes.one.auth.update_user(year_of_birth=1970)
    other = processes.other.auth
    assert await other.ensure_user() != changed
    assert await other.ensure_user(max_age=1e6) != changed
    assert await other.ensure_user(max_age=0) == changed


async def test_ensure_user_makes_the_user_whatever_age_it_may_have(app: App) -> None:
    async with app.core() as core:
        user = await core.auth.ensure_user(max_age=0)
        assert await core.auth.ensure_user(max_age=60) == user
    assert app.server.users == 1


async def test_ensure_user_makes_one_in_place_of_a_user_that_another_process_has_erased(processes: Processes) -> None:
    old = processes.other.auth.current_user
    await processes.one.auth.reset()
    assert await processes.other.auth.ensure_user(max_age=0) != old
    assert processes.app.server.users == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), "5", None, True])
async def test_an_age_that_is_none_is_refused(seconds: Any, app: App) -> None:
    with pytest.raises(ConfigurationError, match="user_max_age is a number of seconds"):
        app.core(user_max_age=seconds)


async def test_a_view_of_a_product_that_has_its_own_store_is_fresh_too(app: App) -> None:
    user = await app.first_launch()
    async with (
        app.core(user_max_age=0) as core,
        app.core(store=MemoryStore(), known_id=returning(user.anonymous_id)) as product,
    ):
        changed = await product.auth.update_user(sex="female")
        assert (await core.present(Profile(ANONYMOUS))).user == changed
