"""Invalid input, double submits, the back button and two windows: each has a page with the next step."""

import io

import pytest

from mimi_async.identity import this_year
from mimi_async.testing import IdentityServer
from mimi_async.web.forms import InvalidFieldError, parse_year_of_birth

from .sites import Person, Product

YEAR = {"year_of_birth": "1980", "sex": "female"}


@pytest.mark.parametrize(
    ("written", "flaw"),
    [
        (" .", "in four digits"),
        ("nineteen", "in four digits"),
        ("80", "in four digits"),
        ("1_80", "in four digits"),
        ("١٩٨٠", "in four digits"),
        ("1980.5", "in four digits"),
        ("-1980", "in four digits"),
        ("19800", "in four digits"),
        ("1899", "before 1900"),
        (str(this_year() - 17), "people of 18 and older"),
        (str(this_year() + 1), "still to come"),
    ],
)
@pytest.mark.parametrize("page", ["year-of-birth", "edit"])
async def test_a_year_that_no_adult_was_born_in_is_asked_again_and_what_was_written_stays(
    page: str, written: str, flaw: str, anna: Person, server: IdentityServer
) -> None:
    if page == "edit":
        await anna.post("year-of-birth", **YEAR)
    before = len(server.requests)
    form = (await anna.get(page)).document
    answer = await anna.submit_to(page, form, year_of_birth=written, sex="male")
    assert answer.status == 422
    assert flaw in answer.document.words
    assert answer.document.fields["year_of_birth"] == written.strip()
    assert answer.document.fields["sex"] == "male"
    assert {"aria-invalid": "true"}.items() <= answer.document.of("input")[-1].items()
    assert {request.method for request in list(server.requests)[before:]} <= {"GET"}
    assert server.users == (page == "edit")
    fixed = await anna.submit_to(page, answer.document, year_of_birth="1970")
    assert fixed.status == 303


async def test_onboarding_without_a_year_asks_for_it(anna: Person) -> None:
    answer = await anna.post("year-of-birth", year_of_birth=" ", sex="")
    assert answer.status == 422
    assert "Write the year in which you were born" in answer.document.words


@pytest.mark.parametrize("year", [1900, this_year() - 18])
def test_the_youngest_and_the_oldest_may_onboard(year: int) -> None:
    assert parse_year_of_birth(f" {year} ") == year
    with pytest.raises(InvalidFieldError):
        parse_year_of_birth(str(1899 if year == 1900 else year + 1))


async def test_an_unknown_sex_counts_as_none(anna: Person) -> None:
    assert (await anna.post("year-of-birth", year_of_birth="1980", sex="<b>")).status == 303
    assert (await anna.get("edit")).document.fields["sex"] == ""


async def test_a_form_that_is_sent_twice_counts_once(anna: Person, server: IdentityServer) -> None:
    for _ in range(2):
        assert (await anna.post("year-of-birth", **YEAR)).location == "/mimi/"
    assert server.users == 1
    form = (await anna.get("edit")).document
    for _ in range(2):
        assert (await anna.submit(form, year_of_birth="1970")).status == 303
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1970"


async def test_a_second_window_that_onboards_otherwise_is_asked_which_answer_stands(
    anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    asked = await anna.post("year-of-birth", year_of_birth="1981", sex="")
    assert asked.status == 409
    assert "to: 1980, Female" in asked.document.words
    assert asked.document.fields["year_of_birth"] == "1981"
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"
    assert (await anna.submit(asked.document)).status == 303
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1981"
    assert server.users == 1


async def test_a_second_window_that_changes_another_field_loses_nothing(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    one, other = (await anna.get("edit")).document, (await anna.get("edit")).document
    await anna.submit(one, year_of_birth="1970")
    assert (await anna.submit(other, sex="male")).status == 303
    fields = (await anna.get("edit")).document.fields
    assert (fields["year_of_birth"], fields["sex"]) == ("1970", "male")


async def test_a_second_window_that_changes_the_same_field_is_asked(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    one, other = (await anna.get("edit")).document, (await anna.get("edit")).document
    await anna.submit(one, year_of_birth="1970")
    asked = await anna.submit(other, year_of_birth="1971")
    assert asked.status == 409
    assert "to: 1970, Female" in asked.document.words
    assert asked.document.fields["year_of_birth"] == "1971"
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1970"
    await anna.submit(asked.document)
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1971"


async def test_a_flaw_does_not_make_a_window_forget_what_it_was_shown(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    one, other = (await anna.get("edit")).document, (await anna.get("edit")).document
    await anna.submit(one, sex="male")
    flawed = await anna.submit(other, year_of_birth="19")
    await anna.submit(flawed.document, year_of_birth="1970")
    fields = (await anna.get("edit")).document.fields
    assert (fields["year_of_birth"], fields["sex"]) == ("1970", "male")


@pytest.mark.parametrize("page", ["edit", "reset"])
async def test_a_window_that_shows_an_erased_profile_does_nothing_to_the_one_that_came_after(
    page: str, anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    old = (await anna.get(page)).document
    await anna.submit_to("reset", (await anna.get("reset")).document, sure="yes")
    await anna.post("year-of-birth", year_of_birth="1990", sex="")
    answer = await anna.submit_to(page, old, year_of_birth="1950", sure="yes")
    assert answer.status == 409
    assert "another profile now" in answer.document.words
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1990"
    assert server.users == 1


async def test_no_two_pages_have_the_same_binding(anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    assert (await anna.get("edit")).document.fields["binding"] != (await anna.get("edit")).document.fields["binding"]


@pytest.mark.parametrize("binding", ["", "00", "x" * 32, "00" * 16, "00" * 500])
async def test_a_form_with_an_invalid_binding_changes_nothing(binding: str, anna: Person) -> None:
    await anna.post("year-of-birth", **YEAR)
    answer = await anna.post(
        "edit", binding=binding, year_of_birth="1950", was_year_of_birth="1980", sex="", was_sex=""
    )
    assert answer.status == 409
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"


async def test_a_reset_that_is_sent_twice_is_done_once(anna: Person, server: IdentityServer) -> None:
    await anna.post("year-of-birth", **YEAR)
    form = (await anna.get("reset")).document
    for _ in range(2):
        assert (await anna.submit_to("reset", form, sure="yes")).location == "/mimi/erased"
    assert server.users == 0


async def test_a_session_that_has_ended_keeps_what_was_written(anna: Person, product: Product) -> None:
    form = (await anna.get("year-of-birth")).document
    del product.accounts[anna.session]
    asked = await anna.submit_to("year-of-birth", form, **YEAR)
    assert asked.status == 401
    assert asked.document.fields == {**form.fields, **YEAR}
    assert "/sign-in?next=/mimi/" in asked.document.links
    product.accounts[anna.session] = "anna"
    assert (await anna.submit_to("year-of-birth", asked.document)).status == 303
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"


async def test_a_server_that_is_down_keeps_what_was_written(anna: Person, server: IdentityServer) -> None:
    await anna.get()
    server.fail(times=None)
    asked = await anna.post("year-of-birth", **YEAR)
    assert (asked.status, asked.document.fields) == (503, {**YEAR, "binding": anna.binding})
    server.clear_faults()
    assert (await anna.submit_to("year-of-birth", asked.document)).status == 303
    assert server.users == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"year_of_birth=1980", "text/plain", 415),
        (b'{"year_of_birth": 1980}', "application/json", 415),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"a" * (2**20 + 1), "application/x-www-form-urlencoded", 413),
        (b"\xff\xfe%zz%ff=%00", "application/x-www-form-urlencoded; charset=utf-16", 409),
        (b"", "multipart/form-data; boundary=x", 415),
    ],
)
async def test_an_invalid_form_is_answered_by_a_page(
    body: bytes, content_type: str, status: int, anna: Person, server: IdentityServer
) -> None:
    headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
    answer = await anna.ask("POST", "year-of-birth", data=io.BytesIO(body), headers=headers)
    assert answer.status == status
    assert "Not a medical device" in answer.document.words
    assert server.users == 0


async def test_a_form_that_can_not_be_decompressed_is_answered_by_a_page(anna: Person, server: IdentityServer) -> None:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Encoding": "deflate",
        "Sec-Fetch-Site": "same-origin",
    }
    answer = await anna.ask("POST", "year-of-birth", data=io.BytesIO(b"abcde"), headers=headers)
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
    assert "could not be read" in answer.document.words
    headers["Content-Type"] = "application/json"
    assert (await anna.ask("POST", "test/begin", data=io.BytesIO(b"abcde"), headers=headers)).status == 422
    assert server.users == 0


async def test_a_form_that_was_shown_to_one_account_makes_no_user_of_another(
    anna: Person, product: Product, server: IdentityServer
) -> None:
    form = (await anna.get("year-of-birth")).document
    del product.accounts[anna.session]
    ended = await anna.submit_to("year-of-birth", form, **YEAR)
    product.accounts[anna.session] = "dora"
    asked = await anna.submit_to("year-of-birth", ended.document)
    assert asked.status == 409
    assert "shown to another account" in asked.document.words
    assert (asked.document.fields["year_of_birth"], asked.document.fields["sex"]) == ("1980", "female")
    assert server.users == 0
    assert (await anna.submit_to("year-of-birth", asked.document)).status == 303  # she has seen it now
    assert set(product.ids) == {"dora"}


async def test_a_form_that_was_shown_to_one_account_changes_nothing_of_another(anna: Person, product: Product) -> None:
    form = (await anna.get("year-of-birth")).document
    product.accounts[anna.session] = "dora"
    await anna.post("year-of-birth", year_of_birth="1970", sex="")
    answer = await anna.submit_to("year-of-birth", form, **YEAR)
    assert answer.status == 409
    assert "another account is signed in now" in answer.document.words
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1970"


async def test_a_form_counts_in_every_process_of_the_product(anna: Person, server: IdentityServer) -> None:
    form = (await anna.get("year-of-birth")).document
    async with Product(server).run() as other, other.open_browser("anna") as later:
        assert (await later.submit_to("year-of-birth", form, **YEAR)).status == 303


async def test_a_form_without_fields_can_be_sent_again_too(anna: Person, server: IdentityServer) -> None:
    await anna.post("year-of-birth", **YEAR)
    await server.stop()
    closed = await anna.post("start-over")
    assert closed.status == 503
    assert (closed.document.action, closed.document.fields) == ("/mimi/start-over", {})
    assert "Send again" in closed.document.words
    await server.start()
    assert (await anna.submit_to("start-over", closed.document)).status == 303
