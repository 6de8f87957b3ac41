"""The pages of the profile, from the introduction to the reset."""

import datetime as dt
import json
import logging

import pytest

from mimi_async.identity import this_year
from mimi_async.testing import IdentityServer

from .sites import Person, Product, run_products

YEAR = {"year_of_birth": "1980", "sex": "female"}


async def test_the_introduction_offers_the_test_and_the_year_of_birth(anna: Person, server: IdentityServer) -> None:
    page = await anna.get()
    assert page.status == 200
    assert "Make sound fit your hearing" in page.text
    assert {"/mimi/test", "/mimi/year-of-birth"} <= page.document.links
    assert server.users == 0


async def test_onboarding_by_year_of_birth_makes_the_user_and_shows_an_estimate(
    anna: Person, server: IdentityServer
) -> None:
    answer = await anna.submit_to("year-of-birth", (await anna.get("year-of-birth")).document, **YEAR)
    assert (answer.status, answer.location) == (303, "/mimi/")
    page = await anna.get()
    assert "Your hearing profile" in page.text
    assert f"An estimate: the median for people of age {this_year() - 1980} with healthy ears" in page.text
    assert page.document.words.count("1980") == 1
    assert server.users == 1


async def test_an_estimate_is_never_kept_as_a_test(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    assert json.loads((await anna.get("export")).text)["hearing_tests"] == []
    assert (await anna.get("results")).location == "/mimi/"


async def test_onboarding_by_the_hearing_test_makes_the_user_and_shows_the_result(
    anna: Person, server: IdentityServer
) -> None:
    assert await anna.take_test() == {"done": "../results"}
    page = await anna.get("results")
    assert page.status == 200
    assert page.text.count('<circle class="mark right"') == 6 + 1  # the legend has one, too
    assert page.text.count('class="mark left"') == 6 + 1
    assert "typical" not in page.document.words.lower()  # no age is known
    assert server.users == 1


async def test_results_are_shown_in_a_drawing_and_in_numbers_beside_what_is_typical(anna: Person) -> None:
    await anna.take_test()
    await anna.post("year-of-birth", **YEAR)
    page = await anna.get("results")
    age = this_year() - 1980
    assert f"Typical for age {age}" in page.text
    assert 'class="curve typical"' in page.text
    rows = page.text.count('<tr><th scope="row">')
    assert rows == 6
    assert page.text.count("<td>20</td>") >= 12


@pytest.mark.parametrize("page", ["", "results"])
async def test_results_say_that_they_are_uncalibrated_and_no_medical_device_made_them(page: str, anna: Person) -> None:
    await anna.take_test()
    words = (await anna.get(page)).document.words
    assert "Uncalibrated" in words
    assert "Not a medical device" in words


async def test_the_estimate_of_a_person_older_than_the_standard_says_where_it_ends(anna: Person) -> None:
    await anna.post("year-of-birth", year_of_birth="1930", sex="")
    words = (await anna.get()).document.words
    assert "Typical for age 70 and above" in words
    assert "people of age 70 and above with healthy ears" in words
    assert f"age {this_year() - 1930}" not in words
    assert "ends at age 70" in words
    assert "mean of the values for women and men" in words


async def test_the_launcher_has_two_states(anna: Person) -> None:
    assert "Set it up" in (await anna.get("launcher")).document.words
    await anna.post("year-of-birth", **YEAR)
    known = await anna.get("launcher")
    assert "Set up by your year of birth" in known.document.words
    assert "Set it up" not in known.document.words
    await anna.take_test()
    today = dt.datetime.now(dt.UTC)
    assert f"Measured on {today.day} " in (await anna.get("launcher")).document.words


async def test_what_was_said_can_be_changed_and_taken_back(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    form = (await anna.get("edit")).document
    assert (form.fields["year_of_birth"], form.fields["sex"]) == ("1980", "female")
    assert (await anna.submit(form, year_of_birth="1970", sex="")).location == "/mimi/"
    form = (await anna.get("edit")).document
    assert (form.fields["year_of_birth"], form.fields["sex"]) == ("1970", "")


async def test_taking_back_the_year_of_birth_leads_back_to_the_introduction(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    await anna.submit((await anna.get("edit")).document, year_of_birth="")
    assert "Make sound fit your hearing" in (await anna.get()).text


async def test_the_export_is_a_file_of_everything_that_is_held_and_of_no_secret(anna: Person, product: Product) -> None:
    await anna.post("year-of-birth", **YEAR)
    await anna.take_test()
    export = await anna.get("export")
    assert export.headers["Content-Disposition"] == 'attachment; filename="hearing-profile.json"'
    held = json.loads(export.text)
    assert held["user"]["year_of_birth"] == 1980
    assert len(held["hearing_tests"]) == 1
    assert product.ids["anna"].reveal() not in export.text


async def test_a_reset_wants_to_be_confirmed_and_erases_the_profile(
    anna: Person, product: Product, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    form = (await anna.get("reset")).document
    unsure = await anna.submit_to("reset", form)
    assert unsure.status == 422
    assert "Nothing was erased" in unsure.document.words
    assert server.users == 1
    assert (await anna.submit_to("reset", form, sure="yes")).location == "/mimi/erased"
    assert server.users == 0
    assert product.ids == {}
    assert "Your profile was erased" in (await anna.get("erased")).text
    assert "Make sound fit your hearing" in (await anna.get()).text


@pytest.mark.parametrize("page", ["erased", "year-of-birth"])
async def test_a_page_for_people_without_a_profile_leads_to_the_profile_that_exists(page: str, anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    assert (await anna.get(page)).location == "/mimi/"


async def test_a_user_without_a_profile_is_offered_the_export_and_the_reset(
    anna: Person, server: IdentityServer
) -> None:
    await anna.send("test/begin", {})
    links = (await anna.get()).document.links
    assert {"/mimi/export", "/mimi/reset", "/mimi/test", "/mimi/year-of-birth"} <= links
    await anna.submit_to("reset", (await anna.get("reset")).document, sure="yes")
    assert server.users == 0
    assert not {"/mimi/export", "/mimi/reset"} & (await anna.get()).document.links


async def test_editing_before_onboarding_leads_to_the_onboarding_with_the_known_values(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    await anna.submit((await anna.get("edit")).document, year_of_birth="")
    assert (await anna.get("edit")).location == "/mimi/year-of-birth"
    form = (await anna.get("year-of-birth")).document
    assert (form.fields["year_of_birth"], form.fields["sex"]) == ("", "female")
    assert (await anna.submit_to("year-of-birth", form, year_of_birth="1970", sex="")).location == "/mimi/"
    fields = (await anna.get("edit")).document.fields
    assert (fields["year_of_birth"], fields["sex"]) == ("1970", "")


async def test_every_page_leads_back_to_where_the_partner_says(server: IdentityServer) -> None:
    led = Product(server, settings={"home": "/?a=1&b"})
    async with led.run(), led.open_browser() as anna:
        for page in ("", "launcher", "test", "year-of-birth", "erased", "nowhere", "?home=https://evil.example"):
            answer = await anna.get(page)
            assert "Back to the app" in answer.document.words
            assert "/?a=1&b" in answer.document.links
            assert "evil.example" not in answer.text


async def test_no_page_leads_back_where_the_partner_says_nothing(anna: Person) -> None:
    assert "Back to the app" not in (await anna.get()).document.words


async def test_it_is_said_once_that_the_profile_is_anonymous_and_only_where_there_may_be_one(
    anna: Person, product: Product
) -> None:
    said = "This profile is anonymous"
    counts = [(await anna.get(page)).document.words.count(said) for page in ("", "test", "erased", "nowhere")]
    assert counts == [1, 1, 0, 0]
    await anna.send("test/begin", {})
    assert (await anna.get()).document.words.count(said) == 1
    await anna.post("year-of-birth", **YEAR)
    assert (await anna.get()).document.words.count(said) == 1
    async with product.open_browser(None) as signed_out:
        assert said not in (await signed_out.get()).document.words


@pytest.mark.parametrize(("language", "name"), [("en", "hearing profile"), ("de", "hörprofil")])
async def test_a_title_names_the_page_and_the_hearing_profile_once(language: str, name: str, product: Product) -> None:
    async with product.open_browser("anna", language) as anna:
        await anna.post("year-of-birth", **YEAR)
        for page in ("", "launcher", "test", "edit", "reset", "nowhere"):
            text = (await anna.get(page)).text
            title = text[text.index("<title>") + len("<title>") : text.index("</title>")]
            assert title.lower().count(name) == 1


@pytest.mark.parametrize("page", ["edit", "reset", "export", "results"])
async def test_a_page_of_a_profile_leads_to_the_introduction_where_there_is_none(page: str, anna: Person) -> None:
    answer = await anna.get(page)
    assert (answer.status, answer.location) == (303, "/mimi/")


async def test_another_product_finds_what_was_measured_and_learns_of_a_reset(
    server: IdentityServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mimi_async.server")
    async with (
        run_products(server, "player", "tv") as product,
        product["player"].open_browser() as at_player,
        product["tv"].open_browser() as at_tv,
    ):
        assert "Make sound fit your hearing" in (await at_tv.get()).text  # before there was a profile
        await at_player.post("year-of-birth", **YEAR)
        await at_player.take_test()
        assert "Measured on" in (await at_tv.get()).text
        await at_tv.submit_to("reset", (await at_tv.get("reset")).document, sure="yes")
        assert "Make sound fit your hearing" in (await at_player.get()).text
        assert server.users == 0
    assert [line for line in caplog.messages if line.endswith(" 410")]
    assert not [line for line in caplog.messages if line.endswith(": ")]


async def test_a_stylesheet_of_the_partner_comes_after_ours(server: IdentityServer) -> None:
    themed = Product(server, settings={"theme": "/mine.css?a=1&b"})
    async with themed.run(), themed.open_browser() as anna:
        sheets = [link["href"] for link in (await anna.get()).document.of("link") if link["rel"] == "stylesheet"]
    assert sheets == ["./static/mimi.css", "../mine.css?a=1&b"]


async def test_a_browser_that_prefers_german_gets_german(product: Product) -> None:
    async with product.open_browser("anna", language="de-AT,de;q=0.9,en;q=0.5") as anna:
        page = await anna.get()
        assert page.headers["Content-Language"] == "de"
        assert page.document.of("html")[0]["lang"] == "de"
        assert "Klang, der zu Ihrem Gehör passt" in page.document.words


async def test_no_page_offers_to_log_in_or_to_sign_up(anna: Person) -> None:
    for prepare in (anna.get, lambda: anna.post("year-of-birth", **YEAR), anna.take_test):
        await prepare()
        for page in ("", "launcher", "test", "year-of-birth", "edit", "reset", "results", "erased", "nowhere"):
            document = (await anna.get(page)).document
            assert document.names <= {"year_of_birth", "sex", "sure", "binding", "was_year_of_birth", "was_sex"}
            words = document.words.lower()
            assert not [word for word in ("log in", "login", "sign up", "register", "password") if word in words]


async def test_one_account_never_sees_the_profile_of_another(anna: Person, product: Product) -> None:
    await anna.post("year-of-birth", **YEAR)
    async with product.open_browser("ben") as ben:
        assert "Make sound fit your hearing" in (await ben.get()).text


async def test_every_page_says_that_it_is_no_medical_device(anna: Person) -> None:
    for page in ("", "test", "year-of-birth", "launcher", "no-such-page"):
        assert "Not a medical device" in (await anna.get(page)).document.words
