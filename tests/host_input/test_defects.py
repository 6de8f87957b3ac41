"""Defects in code of the host: a `ConfigurationError` that names the function, not retryable, and never "no user"."""

import functools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mimi_async import AnonymousId, AuthController, ClientCredentials, ConfigurationError, MimiCore, Profile
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from .conftest import view

CREDENTIALS = ClientCredentials("acme-player", "canary-secret")
TEXT = "3f2a0000-0000-4000-8000-00000000cafe"


def plain_lookup(account: str) -> AnonymousId | None:
    return AnonymousId(TEXT)


def plain_lookup_of_nothing(account: str) -> None:
    del account


async def broken_lookup(account: str) -> AnonymousId | None:
    return len(account) + None  # type: ignore[operator, return-value]  # on purpose


async def misspelt_lookup(account: str) -> AnonymousId | None:
    return account.lowr()  # type: ignore[attr-defined, no-any-return]  # on purpose


def name_of(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


class Lookup:
    async def __call__(self, account: str) -> AnonymousId | None:
        raise AssertionError(TEXT)


async def generating_lookup(account: str) -> AsyncIterator[str]:
    yield account


@pytest.mark.parametrize(
    "lookup", [plain_lookup, plain_lookup_of_nothing, broken_lookup, misspelt_lookup, Lookup()], ids=name_of
)
async def test_a_defect_in_known_id_is_not_retryable_and_never_means_no_user(
    server: IdentityServer, lookup: Any
) -> None:
    store = MemoryStore()
    async with MimiCore(server.credentials, server=server.url, store=store, account=None, known_id=lookup) as core:
        for call in (lambda: core.auth_for("a-17"), lambda: core.start_over("a-17")):
            with pytest.raises(ConfigurationError) as caught:
                await call()
        with pytest.raises(ConfigurationError) as caught:
            await core.auth_for("a-17")
    assert not caught.value.retryable
    name = getattr(lookup, "__name__", "Lookup")
    assert re.search(rf"{name} \(test_defects\.py:\d+\)", str(caught.value))
    assert "cafe" not in str(caught.value)
    assert server.users == 0
    assert await store.load("a-17") is None


@pytest.mark.parametrize("lookup", [generating_lookup, lambda: None, Lookup], ids=name_of)
def test_a_known_id_that_can_not_be_called_is_refused_when_it_is_given(lookup: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"known_id is an `async def known_id\(account\)`"):
        MimiCore(CREDENTIALS, server="https://identity.example", store=MemoryStore(), known_id=lookup)


async def test_a_defect_in_send_or_in_a_store_of_the_host_is_not_retryable() -> None:
    class Misspelt(MemoryStore):
        async def load(self, account: str) -> Any:
            return self.recrods[account]  # type: ignore[attr-defined]  # on purpose

    class Plain(MemoryStore):
        def load(self, account: str) -> Any:
            del account

    async def send(request: object) -> Any:
        raise NameError

    cases: list[tuple[dict[str, Any], str]] = [
        ({"store": Misspelt(), "send": send}, "load"),
        ({"store": Plain(), "send": send}, "load"),
        ({"store": MemoryStore(), "send": send}, "send"),
    ]
    for settings, name in cases:
        async with MimiCore(account=None, **settings) as core:
            with pytest.raises(ConfigurationError, match=rf"{name} \(test_defects\.py:\d+\)") as caught:
                await (await core.auth_for("a-17")).ensure_user()
            assert not caught.value.retryable


async def test_a_wrong_path_of_the_server_is_not_retryable(server: IdentityServer) -> None:
    store = MemoryStore()
    async with MimiCore(server.credentials, server=f"{server.url}/wrong", store=store) as core:
        with pytest.raises(ConfigurationError, match="correct the path in the server's address") as caught:
            await core.auth.ensure_user()
        assert not caught.value.retryable
    async with MimiCore(server.credentials, server=server.url, store=store) as core:
        assert core.auth.current_user is not None, "the creation that was begun is finished"
    assert server.users == 1


def plain_view(auth: AuthController) -> None:
    del auth


async def generating_view(auth: AuthController) -> AsyncIterator[AuthController]:
    yield auth


async def view_of_nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("not_a_view", "why"),
    [
        (plain_view, r"plain_view \(test_defects\.py:\d+\) returned a NoneType, which can't be awaited"),
        (functools.partial(plain_view), r"plain_view \(test_defects\.py:\d+\) returned a NoneType"),
        (generating_view, r"generating_view \(test_defects\.py:\d+\)"),
        (Lookup, "not the class Lookup"),
        (17, "not a int"),
    ],
)
async def test_an_object_that_is_not_a_view_is_refused_before_and_after_the_restore(
    server: IdentityServer, not_a_view: Any, why: str
) -> None:
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore(), account="own") as core:
        for account in ("own", "other", "other"):
            with pytest.raises(ConfigurationError, match=why):
                await core.present(not_a_view, account=account)
        assert core.auth.gate.is_open


async def test_a_view_that_can_not_be_called_is_refused_before_anything_is_waited_for() -> None:
    core = MimiCore(CREDENTIALS, server="https://identity.example", store=MemoryStore())
    for not_a_view in (view_of_nothing, generating_view, Profile, 17):
        with pytest.raises(ConfigurationError, match="a view is"):
            await core.present(not_a_view)  # type: ignore[arg-type]  # on purpose
    for not_a_function in (Profile, 17):
        with pytest.raises(ConfigurationError, match="a view is"):
            core.view(not_a_function)  # type: ignore[arg-type]  # on purpose


async def test_a_type_error_within_a_view_stays_the_views_own(server: IdentityServer) -> None:
    async def broken(auth: AuthController) -> None:
        raise TypeError(auth.account)

    async with MimiCore(server.credentials, server=server.url, store=MemoryStore()) as core:
        with pytest.raises(TypeError, match="default"):
            await core.present(broken)
        with pytest.raises(ConfigurationError, match=r"plain_view \(test_defects\.py"):
            await core.view(plain_view)()  # type: ignore[arg-type]  # on purpose
        assert await core.view(lambda auth: view(auth))() is None
