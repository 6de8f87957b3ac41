"""The partner's own sign-in and sessions."""

import ssl
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from examples.partner_service.passwords import Passwords
from examples.partner_service.sessions import LIFE, Sessions
from examples.partner_service.site import Site as Pages
from mimi_async import AnonymousId
from mimi_async.testing import IdentityServer

from .sites import PASSWORD, Person, Site, person, product_of, running

AN_ID = AnonymousId("12345678-1234-1234-1234-123456789abc")


async def test_a_new_name_makes_an_account_that_both_products_know(
    mimi_server: IdentityServer, tmp_path: Path, anna: Person
) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        made = await anna.sign_in(player, "  anna ")
        refused = await anna.sign_in(tv, "anna", "another password")
        signed_in = await anna.sign_in(tv, "anna")
        assert [await anna.who(site) for site in (player, tv)] == ["anna", "anna"]

    assert (made.status, made.fields["Location"]) == (303, "/")
    assert (refused.status, signed_in.status) == (403, 303)


async def test_a_wrong_password_begins_no_session(site: Site, anna: Person) -> None:
    await anna.sign_in(site, "anna")
    async with person() as mallory:
        page = await mallory.sign_in(site, "anna", "a wrong password")
        assert await mallory.who(site) is None

    assert page.status == 403
    assert "does not fit this account name" in page.text
    assert page.values == ["anna"]


async def test_an_account_without_a_password_is_nobody_s_to_take(site: Site, anna: Person) -> None:
    await site.product.accounts.keep("ben", AN_ID)
    page = await anna.sign_in(site, "ben")

    assert page.status == 403
    assert await anna.who(site) is None


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x00b", "a\x7fb", "a\nb", "a\x9bb"], ids=ascii)
async def test_a_name_that_is_none_is_asked_for_again(name: str, site: Site, anna: Person) -> None:
    page = await anna.sign_in(site, name)

    assert page.status == 422
    assert "1 to 200 characters" in page.text
    assert await anna.who(site) is None


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
async def test_a_password_that_is_none_is_asked_for_again(password: str, site: Site, anna: Person) -> None:
    page = await anna.sign_in(site, "anna", password)

    assert page.status == 422
    assert "8 to 200 characters" in page.text
    assert password not in page.values or not password


async def test_passwords_are_kept_as_salted_hashes(site: Site, tmp_path: Path) -> None:
    passwords = Passwords(site.product.accounts)
    for account in ("anna", "ben"):
        assert await passwords.fit(account, PASSWORD)
    rows = await site.product.accounts.run(lambda table: table.execute("SELECT salt, digest FROM passwords").fetchall())

    assert len({salt for salt, _ in rows}) == len({digest for _, digest in rows}) == 2
    assert PASSWORD.encode() not in (tmp_path / "accounts.sqlite3").read_bytes()
    assert await passwords.fit("anna", PASSWORD)
    assert not await passwords.fit("anna", PASSWORD + " ")


# Where it goes on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "gone_to"),
    [
        ("/mimi/", "/mimi/"),
        ("/mimi/results?of=both#left", "/mimi/results?of=both#left"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("/a\\..\\b", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        (" /mimi/", "/"),
        ("mimi/", "/"),
        ("/ä", "/"),
        ("", "/"),
    ],
    ids=ascii,
)
async def test_a_sign_in_leads_nowhere_else(
    wanted: str, gone_to: str, site: Site, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fits(*_: object) -> bool:
        return True

    monkeypatch.setattr(Passwords, "fit", fits)  # it takes its time
    query = "?next=" + "".join(f"%{byte:02x}" for byte in wanted.encode())
    form = await anna.get(f"{site.url}/sign-in{query}")
    page = await anna.sign_in(site, "anna", query=query)

    assert page.fields["Location"] == gone_to
    assert "evil" not in form.markup


# Sessions ------------------------------------------------------------------------------------------------------------


async def test_a_session_ends_in_its_time(mimi_server: IdentityServer, tmp_path: Path, anna: Person) -> None:
    now = 0.0
    async with running(product_of(mimi_server, tmp_path), Sessions(lambda: now)) as site:
        await anna.sign_in(site, "anna")
        now = LIFE - 1
        assert await anna.who(site) == "anna"
        now = LIFE
        assert await anna.who(site) is None


def test_sessions_that_have_ended_are_forgotten_and_tokens_are_not_kept() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    old = [sessions.begin("anna") for _ in range(3)]
    assert not any(token in repr(vars(sessions)) for token in old)
    now = LIFE
    new = sessions.begin("anna")

    assert len(new) >= 43
    assert [sessions.account_of(token) for token in (*old, new)] == [None, None, None, "anna"]
    assert len(vars(sessions)["_sessions"]) == 1


async def test_who_signs_out_leaves_no_session_behind(site: Site, anna: Person) -> None:
    token = anna.carry(site, "anna")
    page = await anna.post(f"{site.url}/sign-out")

    assert (page.status, page.fields["Location"]) == (303, "/")
    assert anna.token(site) is None
    assert site.sessions.account_of(token) is None


async def test_a_sign_in_makes_a_token_that_nobody_knew_before(site: Site, anna: Person) -> None:
    fixed = anna.carry(site, "mallory")
    await anna.sign_in(site, "anna")

    assert anna.token(site) not in {fixed, None}
    assert site.sessions.account_of(fixed) is None
    assert await anna.who(site) == "anna"


@pytest.mark.parametrize("cookie", ["", "guessed", "a\udcffb", "x" * 4000], ids=ascii)
async def test_a_token_that_was_never_given_out_is_nobody_s(cookie: str, site: Site) -> None:
    assert site.sessions.account_of(cookie) is None


async def test_two_products_on_one_host_have_sessions_of_their_own(
    mimi_server: IdentityServer, tmp_path: Path, anna: Person
) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        await anna.sign_in(player, "anna")
        assert [await anna.who(site) for site in (player, tv)] == ["anna", None]
        await anna.sign_in(tv, "ben")
        assert [await anna.who(site) for site in (player, tv)] == ["anna", "ben"]
        await anna.post(f"{tv.url}/sign-out")
        assert [await anna.who(site) for site in (player, tv)] == ["anna", None]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site, anna: Person) -> None:
    cookie = (await anna.sign_in(site, "anna")).fields["Set-Cookie"]

    assert cookie.startswith("player-session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={LIFE}"} <= {*cookie.split("; ")}
    assert "Secure" not in cookie
    assert "Domain" not in cookie


async def test_the_cookie_of_an_https_request_is_secure(site: Site) -> None:
    context = ssl.create_default_context()
    request = make_mocked_request("POST", "/sign-in", sslcontext=context)
    response = Pages(site.product, site.sessions)._signed_in(request, "anna")

    assert response.cookies["player-session"]["secure"] is True
