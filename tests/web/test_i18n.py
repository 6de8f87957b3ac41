"""The choice of the language; each text exists in each language, with the same values in it."""

import datetime as dt
import re
import string
from pathlib import Path

import pytest

import mimi_async.web
from mimi_async import Grade
from mimi_async.web.i18n import LANGUAGES, choose_language, read_catalogs, read_texts

PACKAGE = Path(mimi_async.web.__file__).parent


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH", "de"),
        ("DE", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr,de;q=0.3,en;q=0.2", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("en;q=0, *", "de"),
        ("en;q=0,de;q=0", "en"),
        ("de;q=nonsense, en", "en"),
        ("de;q=0.5,de-AT;q=0.9,en;q=0.7", "de"),
        ("," * 5000 + "de", "en"),
        ("<script>", "en"),
    ],
)
def test_the_language_that_is_wanted_most_is_chosen(wanted: str, language: str) -> None:
    assert choose_language(wanted) == language


def test_every_language_has_the_same_texts_with_the_same_values_in_them() -> None:
    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    first = read_texts(LANGUAGES[0])
    for language in LANGUAGES[1:]:
        other = read_texts(language)
        assert other.keys() == first.keys()
        assert {key: values(text) for key, text in other.items()} == {key: values(text) for key, text in first.items()}
        assert not [key for key, text in other.items() if text == first[key] and len(text.split()) > 2]


def test_every_text_that_is_used_exists() -> None:
    templates = "".join(file.read_text() for file in (PACKAGE / "templates").glob("*.html"))
    named = re.findall(r'\bt(?:\.html)?\("([a-z.-]+[a-z])"[,)]', templates)
    assert len(named) > 80
    assert not set(named) - read_texts("en").keys()


def test_every_text_is_used() -> None:
    files = (*(PACKAGE / "templates").glob("*.html"), *PACKAGE.glob("*.py"))
    sources = "".join(file.read_text() for file in files)
    composed = ("grade.", "sex.", "launcher.", "error.", "results.")  # by a name that is known at run time only
    assert not [key for key in read_texts("en") if f'"{key}"' not in sources and not key.startswith(composed)]


def test_every_grade_has_its_words() -> None:
    assert {f"grade.{grade}" for grade in Grade} <= read_texts("en").keys()


def test_a_time_is_written_in_the_language() -> None:
    moment, words = dt.datetime(2026, 3, 1, 9, 5, tzinfo=dt.UTC), read_catalogs()
    assert ">1 March 2026, 09:05 UTC<" in words["en"].time(moment, None)
    assert ">1. März 2026, 09:05 UTC<" in words["de"].time(moment, None)


@pytest.mark.parametrize(("number", "written"), [(-10, "−10"), (-0.0, "0"), (0, "0"), (12.5, "12.5"), (120.0, "120")])
def test_a_number_is_written_as_people_write_it(number: float, written: str) -> None:
    assert read_catalogs()["en"].number(number) == written
