"""One name of an account in two Unicode forms, as macOS, input methods and exports of databases write them."""

import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mimi_async import ClientCredentials, InvalidInputError, MimiCore
from mimi_async.identity import validate_account
from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer

from ..web.sites import Product
from .conftest import view

# As the old file system of macOS wrote the names of files and users: "e" and U+0301, Hangul as conjoining letters.
DECOMPOSED = ["jose\u0301", "ju\u0308rgen@mu\u0308nchen.example", "\u1112\u1161\u11ab", "A\u030a", "s\u0323\u0307"]
OTHERWISE = ["\u212bngstro\u0308m", "\u2126", "\u0344", "s\u0307\u0323"]  # composed characters that NFC replaces
REMEDY = r"Unicode NFC.*unicodedata\.normalize\('NFC', account\)"


async def set_as_default_account(core: MimiCore, account: str) -> None:
    MimiCore(ClientCredentials("acme", "hush"), server="https://localhost", store=MemoryStore(), account=account)


CALLS: dict[str, Callable[[MimiCore, str], Awaitable[object]]] = {
    "the constructor": set_as_default_account,
    "auth_for": lambda core, account: core.auth_for(account),
    "start_over": lambda core, account: core.start_over(account),
    "present": lambda core, account: core.present(view, account=account),
    "a decorated view": lambda core, account: core.view(account=account)(view)(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_an_account_that_is_not_in_nfc_is_refused_with_the_remedy(
    server: IdentityServer, tmp_path: Path, call: str
) -> None:
    account, asked = DECOMPOSED[0], list[str]()

    async def known_id(account: str) -> None:
        asked.append(account)

    store = SQLiteStore(tmp_path / "ids")
    async with MimiCore(server.credentials, server=server.url, store=store, account=None, known_id=known_id) as core:
        with pytest.raises(InvalidInputError, match=REMEDY) as caught:
            await CALLS[call](core, account)
        assert account not in str(caught.value)
    assert (asked, server.users, list(server.requests)) == ([], 0, [])


@pytest.mark.parametrize("account", [*DECOMPOSED, *OTHERWISE], ids=ascii)
def test_an_account_that_is_not_in_nfc_is_invalid(account: str) -> None:
    with pytest.raises(InvalidInputError, match=REMEDY):
        validate_account(account)


@pytest.mark.parametrize("account", [*DECOMPOSED, *OTHERWISE, "anna", "\U0001f600", "ﬁ"], ids=ascii)
async def test_both_forms_of_a_name_normalized_are_one_user(
    server: IdentityServer, tmp_path: Path, account: str
) -> None:
    store = SQLiteStore(tmp_path / "ids")
    async with MimiCore(server.credentials, server=server.url, store=store, account=None) as core:
        users = [
            await (await core.auth_for(unicodedata.normalize("NFC", form))).ensure_user()
            for form in (account, unicodedata.normalize("NFD", account))
        ]
    assert users[0] == users[1]
    assert server.users == 1


async def test_a_page_of_an_account_that_is_not_in_nfc_is_not_shown_and_the_log_says_the_remedy(
    server: IdentityServer, caplog: pytest.LogCaptureFixture
) -> None:
    product = Product(server)
    product.accounts["session-0"] = DECOMPOSED[0]
    async with product.run(), product.open_browser(None) as person:
        person.http.headers["Cookie"] = "session=session-0"
        assert (await person.get()).status == 500
    (line,) = [record.message for record in caplog.records if record.name == "mimi_async.web.dispatch"]
    assert "unicodedata.normalize('NFC', account)" in line
    assert DECOMPOSED[0] not in line
    assert server.users == 0
