"""Invalid input of the host: a typed error with a remedy, and nothing stored is changed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mimi_async import (
    AnonymousId,
    AnonymousUserOnlyError,
    ClientCredentials,
    ConfigurationError,
    CredentialsRejectedError,
    InvalidAnonymousIdError,
    InvalidInputError,
    LogInAnonymously,
    MimiCore,
    MimiError,
    NotStartedError,
    Profile,
    ProfileConfiguration,
    StartupError,
    StoreUnavailableError,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer

from .conftest import view

CREDENTIALS = ClientCredentials("acme-player", "canary-secret")
TEXT = "3f2a0000-0000-4000-8000-00000000cafe"


async def test_a_wrong_secret_creates_no_user_and_changes_nothing_stored(server: IdentityServer) -> None:
    store = MemoryStore()
    wrong = attrs.evolve(server.credentials, secret="canary-secret")
    async with MimiCore(wrong, server=server.url, store=store) as core:
        with pytest.raises(CredentialsRejectedError, match="check id and secret"):
            await core.auth.ensure_user()
    assert server.users == 0
    async with MimiCore(server.credentials, server=server.url, store=store) as core:
        user = core.auth.current_user
    assert user is not None
    with pytest.raises(StartupError, match="check id and secret") as caught:
        await MimiCore(wrong, server=server.url, store=store).__aenter__()
    assert isinstance(caught.value.__cause__, CredentialsRejectedError)
    assert "canary-secret" not in repr(caught.value)
    async with MimiCore(server.credentials, server=server.url, store=store) as core:
        assert core.auth.current_user == user
    assert server.users == 1


@pytest.mark.parametrize("value", [TEXT, TEXT.encode(), None, 17])
def test_a_route_takes_an_id_and_says_how_to_make_one(value: Any) -> None:
    with pytest.raises(InvalidAnonymousIdError, match=r"AnonymousId\(text\)") as caught:
        LogInAnonymously(value)
    assert "cafe" not in repr(caught.value)


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no server": ({"server": None}, "name the identity server"),
    "http beyond this machine": ({"server": "http://identity.example"}, "must begin with https://"),
    "a password in the address": ({"server": "https://jo:hunter2@identity.example"}, "ClientCredentials"),
    "no credentials": ({"credentials": None}, "client credentials"),
    "credentials as a text": ({"credentials": "acme:secret"}, "ClientCredentials"),
    "credentials as a tuple": ({"credentials": ("acme", "secret")}, "ClientCredentials"),
    "a path as the store": ({"store": "ids.sqlite3"}, r"SQLiteStore\(path\)"),
    "no store": ({"store": None}, r"SQLiteStore\(path\)"),
    "a store's class": ({"store": MemoryStore}, r"SQLiteStore\(path\)"),
    "send and server": ({"send": print}, "send replaces the transport"),
    "send that can't be called": ({"send": "send", "server": None}, "async"),
    "known_id as an id": ({"known_id": AnonymousId(TEXT)}, "known_id"),
    "session as a text": ({"session": "session"}, "ClientSession"),
    "another choice": ({"on_restore_failure": "ignore"}, "'raise' or 'retry'"),
    "fewer idle controllers than none": ({"max_idle_controllers": -1}, "0 or more"),
    "idle controllers as a text": ({"max_idle_controllers": "all"}, "0 or more"),
    "an empty account": ({"account": ""}, "1 to 200 characters"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_an_invalid_setting_is_refused_by_the_constructor(case: str) -> None:
    settings, remedy = SETTINGS[case]
    usual: dict[str, Any] = {"credentials": CREDENTIALS, "server": "https://identity.example", "store": MemoryStore()}
    with pytest.raises(MimiError, match=remedy) as caught:
        MimiCore(**{**usual, **settings})
    assert isinstance(caught.value, (ConfigurationError, InvalidInputError))
    assert "hunter2" not in str(caught.value)


async def test_a_store_path_that_is_a_folder_is_named_and_left_alone(server: IdentityServer, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear partner")
    core = MimiCore(server.credentials, server=server.url, store=SQLiteStore(tmp_path))
    with pytest.raises(StartupError, match="folder") as caught:
        await core.__aenter__()
    assert caught.value.phase == "store"
    assert isinstance(caught.value.__cause__, (ConfigurationError, StoreUnavailableError))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


CALLS: dict[str, Callable[[MimiCore], Awaitable[object]]] = {
    "auth_for": lambda core: core.auth_for("a-17"),
    "ensure_user": lambda core: core.auth.ensure_user(),
    "authenticate": lambda core: core.auth.authenticate(LogInAnonymously(AnonymousId(TEXT))),
    "update_user": lambda core: core.auth.update_user(sex=None),
    "reload_user": lambda core: core.auth.reload_user(),
    "hearing_tests": lambda core: anext(core.auth.hearing_tests()),
    "export_data": lambda core: core.auth.export_data(),
    "log_out": lambda core: core.auth.log_out(),
    "reset": lambda core: core.auth.reset(),
    "start_over": lambda core: core.auth.start_over(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_before_the_start_or_after_the_exit_is_refused(server: IdentityServer, call: str) -> None:
    core = MimiCore(server.credentials, server=server.url, store=MemoryStore())
    with pytest.raises(NotStartedError, match="not entered yet: make calls inside `async with core`"):
        await CALLS[call](core)
    with pytest.raises(NotStartedError, match="not entered yet") as caught:
        _ = core.auth.current_user
    assert not caught.value.retryable
    async with core:
        await core.auth.ensure_user()
    with pytest.raises(NotStartedError, match="left: make calls inside `async with core`"):
        await CALLS[call](core)
    assert server.users == 1


async def test_a_core_is_entered_once(server: IdentityServer) -> None:
    core = MimiCore(server.credentials, server=server.url, store=MemoryStore())
    async with core:
        with pytest.raises(ConfigurationError, match="make a new MimiCore"):
            await core.__aenter__()
        assert core.auth.current_user is None
        assert (await core.auth.ensure_user()) is not None
    with pytest.raises(ConfigurationError, match="make a new MimiCore"):
        await core.__aenter__()


async def test_a_view_before_the_start_waits_and_one_after_the_exit_is_refused(server: IdentityServer) -> None:
    core = MimiCore(server.credentials, server=server.url, store=MemoryStore())
    presented = asyncio.create_task(core.present(view))
    async with core:
        assert await presented is None
    with pytest.raises(ViewsClosedError) as caught:
        await core.present(view)
    assert isinstance(caught.value.__cause__, NotStartedError)


WRONG: dict[str, tuple[Callable[[MimiCore], Awaitable[object]], str]] = {
    "auth_for a number": (lambda core: core.auth_for(17), "1 to 200 characters"),  # type: ignore[arg-type]  # on purpose
    "auth_for nothing": (lambda core: core.auth_for(""), "1 to 200 characters"),
    "auth_for None": (lambda core: core.auth_for(None), "1 to 200 characters"),  # type: ignore[arg-type]  # on purpose
    "present a number": (lambda core: core.present(view, account=17), "1 to 200 characters"),  # type: ignore[arg-type]  # on purpose
    "present no view": (lambda core: core.present("profile"), "async def view"),  # type: ignore[arg-type]  # on purpose
    "present the class of a view": (lambda core: core.present(Profile), "ProfileConfiguration"),  # type: ignore[arg-type]  # on purpose
    "a route as a text": (lambda core: core.auth.authenticate("anonymously"), r"LogInAnonymously\(id\)"),  # type: ignore[arg-type]  # on purpose
    "a route's class": (lambda core: core.auth.authenticate(LogInAnonymously), r"LogInAnonymously\(id\)"),  # type: ignore[arg-type]  # on purpose
    "a bare id": (lambda core: core.auth.authenticate(AnonymousId(TEXT)), r"LogInAnonymously\(id\)"),  # type: ignore[arg-type]  # on purpose
    "a year as a text": (lambda core: core.auth.update_user(year_of_birth="1980"), "whole number"),  # type: ignore[arg-type]  # on purpose
    "a sex as a number": (lambda core: core.auth.update_user(sex=1), "female"),  # type: ignore[arg-type]  # on purpose
    "a test as a dict": (lambda core: core.auth.submit_hearing_test({}), "HearingTestResult"),  # type: ignore[arg-type]  # on purpose
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_a_value_of_the_wrong_type_is_refused_and_nothing_is_asked(server: IdentityServer, case: str) -> None:
    call, remedy = WRONG[case]
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore()) as core:
        with pytest.raises(MimiError, match=remedy) as caught:
            await call(core)
        assert isinstance(caught.value, (InvalidInputError, ConfigurationError))
        assert core.auth.gate.is_open
        assert core.auth.current_user is None
    assert list(server.requests) == []


@pytest.mark.parametrize("configuration", [ProfileConfiguration(), None, True, {"allows_anonymous_user_only": True}])
def test_a_profile_for_named_users_is_refused(configuration: Any) -> None:
    with pytest.raises(AnonymousUserOnlyError, match="allows_anonymous_user_only=True"):
        Profile(configuration)
