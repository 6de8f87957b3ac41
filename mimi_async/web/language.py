"""The languages of the pages: the browser chooses, and each has a file of texts."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import attrs

from .numbers import Level

LANGUAGES: Final = ("en", "de")
"""The first one is used where the browser asks for none of them."""

_WISH = re.compile(r"\s*([a-zA-Z]{1,8}|\*)(?:-[a-zA-Z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?", re.ASCII)


@attrs.frozen
class Words:
    """The texts of one language.

    Attributes:
        language: Its tag (BCP 47), for `lang` and Content-Language.
    """

    language: str
    _texts: Mapping[str, str] = attrs.field(repr=False)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text; a template escapes it together with its values."""
        return self._texts[key].format(**values)

    def number(self, value: float) -> str:
        """Write a number, with a minus sign rather than a hyphen."""
        return f"{value + 0:g}".replace("-", "\N{MINUS SIGN}")  # + 0: there is a negative zero

    def level(self, level: Level) -> str:
        """Write a threshold without its unit, as a table does."""
        number = self.number(level.value)
        return self("level.or-more", level=number) if level.is_least else number

    def mean(self, level: Level) -> str:
        """Write a mean of thresholds, rounded, with its unit."""
        mean = f"{self.number(round(level.value))} dB HL"
        return self("mean.at-least", mean=mean) if level.is_least else mean

    def date(self, moment: dt.datetime) -> str:
        """Write a date in UTC."""
        month = self._texts["months"].split()[moment.month - 1]
        return self("date", day=moment.day, month=month, year=moment.year)


def read_texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys."""
    texts: dict[str, str] = json.loads((files(__package__) / "texts" / f"{language}.json").read_text("utf-8"))
    return texts


def read_words() -> dict[str, Words]:
    """Return the words of all languages."""
    return {language: Words(language, read_texts(language)) for language in LANGUAGES}


def chosen(accept_language: str) -> str:
    """Return which language a browser wants (RFC 9110, section 12.5.4)."""
    wishes: dict[str, float] = {}
    for part in accept_language[:1000].split(","):
        wish = _WISH.fullmatch(part)
        if wish is not None:
            language, weight = wish[1].lower(), float(wish[2] or 1)
            wishes[language] = max(weight, wishes.get(language, 0.0))
    best = max(LANGUAGES, key=lambda language: wishes.get(language, wishes.get("*", 0.0)))
    return best if wishes.get(best, wishes.get("*", 0.0)) else LANGUAGES[0]
