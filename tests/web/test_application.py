"""`mimi_pages` refuses arguments that can't work, when it is called."""

import asyncio
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from mimi_async import AnonymousUserOnlyError, ConfigurationError, MimiCore, ProfileConfiguration
from mimi_async.stores import MemoryStore
from mimi_async.web import mimi_pages

from .sites import ANONYMOUS


async def account_of(request: web.Request) -> str | None:
    return None


def mount(**arguments: Any) -> web.Application:
    core = MimiCore(send=lambda _: asyncio.sleep(0, None), store=MemoryStore(), account=None)  # type: ignore[arg-type]  # never called
    return mimi_pages(**{"core": core, "account_of": account_of, "configuration": ANONYMOUS, **arguments})


@pytest.mark.parametrize(
    "configuration",
    [ProfileConfiguration(), ProfileConfiguration(allows_anonymous_user_only=1), None],  # type: ignore[arg-type]  # truthy is not True
)
def test_refuses_pages_that_could_lead_to_a_named_user(configuration: Any) -> None:
    with pytest.raises(AnonymousUserOnlyError):
        mount(configuration=configuration)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"core": None}, "account_of"),
        ({"account_of": None}, "account_of"),
        ({"start_over": "yes"}, "start_over"),
        ({"timezone": ZoneInfo("UTC")}, "timezone is"),
        ({"theme": 7}, "^theme is an address"),
        ({"sign_in": "//evil.example"}, "^sign_in is an address"),
        ({"home": b"/"}, "^home is an address"),
    ],
)
def test_refuses_an_argument_of_another_kind(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mount(**arguments)
