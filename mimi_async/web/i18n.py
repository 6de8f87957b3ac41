"""The languages of the pages: the choice by Accept-Language, and a catalog of texts for each."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Final

import attrs
from markupsafe import Markup, escape

from .audiogram import Level

LANGUAGES: Final = ("en", "de")
"""The languages of the pages; the first is the default."""

_LANGUAGE_RANGE = re.compile(
    r"\s*([a-zA-Z]{1,8}|\*)(?:-[a-zA-Z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?", re.ASCII
)


@attrs.frozen
class Catalog:
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
        return self("level.or-more", level=number) if level.is_lower_bound else number

    def mean(self, level: Level) -> str:
        """Write a mean of thresholds, rounded, with its unit."""
        mean = f"{self.number(round(level.value))} dB HL"
        return self("mean.at-least", mean=mean) if level.is_lower_bound else mean

    def html(self, key: str, **values: object) -> Markup:
        """Return a text as HTML; values are escaped, except those that are Markup."""
        return escape(self._texts[key]).format(**values)

    def time(self, moment: dt.datetime, zone: dt.tzinfo | None) -> Markup:
        """Return a `<time>` element in a zone; without a zone in UTC, marked for `times.js` to rewrite it."""
        utc = moment.astimezone(dt.UTC)
        stamp = utc.isoformat(timespec="seconds").replace("+00:00", "Z")
        element = '<time datetime="{}" data-utc>{}</time>' if zone is None else '<time datetime="{}">{}</time>'
        return Markup(element).format(stamp, self.time_text(moment, zone))  # noqa: S704 - one of the two above

    def time_text(self, moment: dt.datetime, zone: dt.tzinfo | None) -> str:
        """Return a time as plain text, in a zone, by default in UTC."""
        local = moment.astimezone(dt.UTC)
        with suppress(OverflowError):  # the calendar of datetime ends at the years 1 and 9999
            local = local.astimezone(zone or dt.UTC)
        month = self._texts["months"].split()[local.month - 1]
        text = self("time", day=local.day, month=month, year=local.year, clock=f"{local:%H:%M}")
        return self("time.utc", time=text) if local.tzname() == "UTC" else text


def read_texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys."""
    texts: dict[str, str] = json.loads((files(__package__) / "texts" / f"{language}.json").read_text("utf-8"))
    return texts


def read_catalogs() -> dict[str, Catalog]:
    """Return the catalogs of all languages."""
    return {language: Catalog(language, read_texts(language)) for language in LANGUAGES}


def choose_language(accept_language: str) -> str:
    """Return the language that a browser prefers (RFC 9110, section 12.5.4)."""
    weights: dict[str, float] = {}
    for part in accept_language[:1000].split(","):
        match = _LANGUAGE_RANGE.fullmatch(part)
        if match is not None:
            language, weight = match[1].lower(), float(match[2] or 1)
            weights[language] = max(weight, weights.get(language, 0.0))
    best = max(LANGUAGES, key=lambda language: weights.get(language, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) else LANGUAGES[0]
