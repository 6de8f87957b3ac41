"""The partner's own sign-in and sessions."""

import ssl
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from examples.partner_service import passwords
from examples.partner_service.passwords import Passwords
from examples.partner_service.sessions import LIFETIME, Sessions
from examples.partner_service.site import Site as Pages
from mimi_async import AnonymousId
from mimi_async.testing import IdentityServer

from .sites import PASSWORD, Person, Site, person, product_of, running

AN_ID = AnonymousId("12345678-1234-1234-1234-123456789abc")


async def test_a_new_name_creates_an_account_for_both_products(
    mimi_server: IdentityServer, tmp_path: Path, anna: Person
) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        made = await anna.sign_in(player, "  anna ")
        refused = await anna.sign_in(tv, "anna", "another password")
        signed_in = await anna.sign_in(tv, "anna")
        assert [await anna.account(site) for site in (player, tv)] == ["anna", "anna"]

    assert (made.status, made.fields["Location"]) == (303, "/")
    assert (refused.status, signed_in.status) == (403, 303)


async def test_a_name_in_another_unicode_form_is_the_same_account(site: Site, anna: Person) -> None:
    await anna.sign_in(site, "jos\u00e9")
    async with person() as on_macos:
        assert (await on_macos.sign_in(site, "jose\u0301")).status == 303
        assert await on_macos.account(site) == "jos\u00e9"


async def test_a_wrong_password_begins_no_session(site: Site, anna: Person) -> None:
    await anna.sign_in(site, "anna")
    async with person() as mallory:
        page = await mallory.sign_in(site, "anna", "a wrong password")
        assert await mallory.account(site) is None

    assert page.status == 403
    assert "does not fit this account name" in page.text
    assert page.values == ["anna"]


async def test_an_account_without_a_password_cannot_be_taken_over(site: Site, anna: Person) -> None:
    await site.product.accounts.keep("ben", AN_ID)
    page = await anna.sign_in(site, "ben")

    assert page.status == 403
    assert await anna.account(site) is None


async def test_an_invalid_name_or_password_is_refused(site: Site, anna: Person) -> None:
    names = [(name, PASSWORD, "1 to 200 characters") for name in ("", "   ", "x" * 201, "a\x00b", "a\x7fb", "a\x9bb")]
    passwords = [("anna", password, "8 to 200 characters") for password in ("", "short", "x" * 201)]
    for name, password, reason in (*names, *passwords):
        page = await anna.sign_in(site, name, password)
        assert (page.status, reason in page.text) == (422, True), (name, password)
        assert password not in page.values or not password
    assert await anna.account(site) is None


def test_a_hash_costs_what_owasp_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert passwords.COST == {"n": 2**14, "r": 8, "p": 5}
    used: dict[str, object] = {}
    monkeypatch.setattr("hashlib.scrypt", lambda _, **options: used.update(options) or bytes(64))
    passwords.Digest.of(PASSWORD)
    assert passwords.COST.items() <= used.items()


async def test_passwords_are_stored_as_salted_hashes(site: Site, tmp_path: Path) -> None:
    table = Passwords(site.product.accounts)
    for account in ("anna", "ben"):
        assert await table.verify(account, PASSWORD)
    rows = await site.product.accounts.run(lambda sql: sql.execute("SELECT salt, digest FROM passwords").fetchall())

    assert len({salt for salt, _ in rows}) == len({digest for _, digest in rows}) == 2
    assert PASSWORD.encode() not in (tmp_path / "accounts.sqlite3").read_bytes()
    assert await table.verify("anna", PASSWORD)
    assert not await table.verify("anna", PASSWORD + " ")


async def test_a_sign_in_redirects_to_paths_of_the_site_only(site: Site, anna: Person) -> None:
    good = ("/mimi/", "/mimi/results?of=both#left")
    evil = ("//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "https://evil.example/")
    for wanted in (*good, *evil, "/a\\..\\b", "javascript:alert(1)", " /mimi/", "mimi/", "/ä", ""):
        query = "?next=" + "".join(f"%{byte:02x}" for byte in wanted.encode())
        form = await anna.get(f"{site.url}/sign-in{query}")
        page = await anna.sign_in(site, "anna", query=query)
        assert page.fields["Location"] == (wanted if wanted in good else "/"), wanted
        assert "evil" not in form.markup


async def test_a_session_expires(mimi_server: IdentityServer, tmp_path: Path, anna: Person) -> None:
    now = 0.0
    async with running(product_of(mimi_server, tmp_path), Sessions(lambda: now)) as site:
        await anna.sign_in(site, "anna")
        now = LIFETIME - 1
        assert await anna.account(site) == "anna"
        now = LIFETIME
        assert await anna.account(site) is None


def test_expired_sessions_are_removed_and_tokens_are_not_stored() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    old = [sessions.begin("anna") for _ in range(3)]
    assert not any(token in repr(vars(sessions)) for token in old)
    now = LIFETIME
    new = sessions.begin("anna")

    assert len(new) >= 43
    assert [sessions.account_of(token) for token in (*old, new)] == [None, None, None, "anna"]
    assert len(vars(sessions)["_sessions"]) == 1


async def test_a_sign_out_ends_the_session(site: Site, anna: Person) -> None:
    token = anna.carry(site, "anna")
    page = await anna.post(f"{site.url}/sign-out")

    assert (page.status, page.fields["Location"]) == (303, "/")
    assert anna.token(site) is None
    assert site.sessions.account_of(token) is None


async def test_a_sign_in_issues_a_new_token(site: Site, anna: Person) -> None:
    fixed = anna.carry(site, "mallory")
    await anna.sign_in(site, "anna")

    assert anna.token(site) not in {fixed, None}
    assert site.sessions.account_of(fixed) is None
    assert await anna.account(site) == "anna"


@pytest.mark.parametrize("cookie", ["", "guessed", "a\udcffb", "x" * 4000], ids=ascii)
def test_an_unknown_token_has_no_account(cookie: str) -> None:
    assert Sessions().account_of(cookie) is None


async def test_two_products_on_one_host_have_separate_sessions(
    mimi_server: IdentityServer, tmp_path: Path, anna: Person
) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        await anna.sign_in(player, "anna")
        assert [await anna.account(site) for site in (player, tv)] == ["anna", None]
        await anna.sign_in(tv, "ben")
        assert [await anna.account(site) for site in (player, tv)] == ["anna", "ben"]
        await anna.post(f"{tv.url}/sign-out")
        assert [await anna.account(site) for site in (player, tv)] == ["anna", None]


async def test_the_cookie_is_http_only_and_same_site(site: Site, anna: Person) -> None:
    cookie = (await anna.sign_in(site, "anna")).fields["Set-Cookie"]

    assert cookie.startswith("player-session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={LIFETIME}"} <= {*cookie.split("; ")}
    assert "Secure" not in cookie
    assert "Domain" not in cookie


async def test_the_cookie_of_an_https_request_is_secure(site: Site) -> None:
    context = ssl.create_default_context()
    request = make_mocked_request("POST", "/sign-in", sslcontext=context)
    response = Pages(site.product, site.sessions)._signed_in(request, "anna")

    assert response.cookies["player-session"]["secure"] is True
