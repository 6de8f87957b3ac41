"""A person deletes a hearing test of the list, after a confirmation, without a script."""

from mimi_async import HearingTestResult
from mimi_async.testing import IdentityServer

from .sites import Person, run_products
from .test_results import submit_test


async def list_tests(person: Person) -> list[HearingTestResult]:
    auth = await person.product.core.auth_for("anna")
    return [test async for test in auth.hearing_tests()]


async def list_links(person: Person) -> list[str]:
    """Where the results lead to delete a test: earlier ones first, in the order of the page."""
    page = (await person.get("results")).document
    return [str(it["href"]).removeprefix("/mimi/") for it in page.of("a") if str(it.get("href")).endswith("/delete")]


async def test_each_test_of_the_results_can_be_deleted_after_a_confirmation(anna: Person) -> None:
    for level in (30, 40, 50):
        await submit_test(anna, level, level)
    newest, *earlier = await list_tests(anna)
    assert await list_links(anna) == [f"./results/{test.id}/delete" for test in (*earlier, newest)]
    page = f"results/{newest.id}/delete"
    asked = await anna.get(page)
    assert "Delete this hearing test?" in asked.document.words
    assert "50 dB HL" in asked.document.words
    assert await list_tests(anna) == [newest, *earlier]
    assert (await anna.submit_to(page, asked.document)).location == "/mimi/results"
    assert await list_tests(anna) == earlier
    assert "40 dB HL" in (await anna.get("results")).document.words


async def test_the_last_test_that_is_deleted_leads_to_the_profile(anna: Person) -> None:
    await anna.post("year-of-birth", year_of_birth="1980", sex="")
    await submit_test(anna, 30, 30)
    (page,) = await list_links(anna)
    assert (await anna.submit_to(page, (await anna.get(page)).document)).location == "/mimi/results"
    assert (await anna.get("results")).location == "/mimi/"
    assert "1980" in (await anna.get()).document.words


async def test_a_test_that_is_gone_is_not_asked_about_and_its_form_may_be_sent_again(anna: Person) -> None:
    for level in (30, 40):
        await submit_test(anna, level, level)
    page = (await list_links(anna))[0]
    form = (await anna.get(page)).document
    for _ in range(2):
        assert (await anna.submit_to(page, form)).location == "/mimi/results"
    assert (await anna.get(page)).location == "/mimi/results"
    assert (await anna.get(f"results/{'0' * 32}/delete")).location == "/mimi/results"
    assert len(await list_tests(anna)) == 1


async def test_a_form_of_another_profile_deletes_nothing(anna: Person) -> None:
    await submit_test(anna, 30, 30)
    (page,) = await list_links(anna)
    for binding in ("", "00" * 16, anna.binding):
        answer = await anna.post(page, binding=binding)
        assert (answer.status, "another profile" in answer.document.words) == (409, True)
    assert len(await list_tests(anna)) == 1


async def test_without_a_profile_there_is_nothing_to_delete(anna: Person, server: IdentityServer) -> None:
    page = f"results/{'0' * 32}/delete"
    assert (await anna.get(page)).status in (303, 409)
    assert (await anna.post(page)).status == 409
    assert server.users == 0


async def test_another_product_shows_the_test_no_more(server: IdentityServer) -> None:
    async with (
        run_products(server, "player", "tv") as product,
        product["player"].open_browser() as at_player,
        product["tv"].open_browser() as at_tv,
    ):
        for level in (30, 40):
            await submit_test(at_player, level, level)
        page = (await list_links(at_tv))[-1]
        await at_tv.submit_to(page, (await at_tv.get(page)).document)
        assert "30 dB HL in your better ear" in (await at_player.get()).document.words
