"""What comes from a browser, read and checked: forms, the answers of the hearing test, a year of birth."""

import json
import re
from typing import Final, cast, get_args
from urllib.parse import parse_qsl

from aiohttp import web

from ..identity import ADULT_AGE, EARLIEST_YEAR_OF_BIRTH, Sex, this_year

_MOST_FIELDS: Final = 20
_MOST_CHARACTERS: Final = 2000

Form = dict[str, str]


class UnreadableFormError(Exception):
    """What was sent is no form, or no JSON object, of these pages."""


class NoFormError(UnreadableFormError):
    """What was sent is of another kind, by its own Content-Type."""


async def read_form(request: web.Request) -> Form:
    """Return the fields of a form, of those that are sent twice the last.

    Raises:
        NoFormError: It is no form.
        UnreadableFormError: It is no form of ours.
        web.HTTPRequestEntityTooLarge: It is larger than the partner's app allows.
    """
    text = (await _body(request, "application/x-www-form-urlencoded")).decode(errors="replace")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise UnreadableFormError from None
    return {name[:_MOST_CHARACTERS]: value[:_MOST_CHARACTERS] for name, value in fields}


async def read_answer(request: web.Request) -> tuple[str | None, bool | None]:
    """Return the state of a hearing test, None before it has begun, and whether the tone was heard, where that is said.

    Raises:
        UnreadableFormError: It is no answer.
        web.HTTPRequestEntityTooLarge: It is larger than the partner's app allows.
    """
    body = await _body(request, "application/json")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableFormError from None
    if not isinstance(answer, dict) or not answer.keys() <= {"state", "heard"}:
        raise UnreadableFormError
    state, heard = answer.get("state"), answer.get("heard")
    if not isinstance(state, (str, type(None))) or not isinstance(heard, (bool, type(None))):
        raise UnreadableFormError
    return state, heard


async def _body(request: web.Request, content_type: str) -> bytes:
    if request.content_type != content_type:
        raise NoFormError
    try:
        return await request.read()
    except web.RequestPayloadError:  # it can't be decompressed, for example
        raise UnreadableFormError from None


class BadYearError(Exception):
    """A text is no year of birth of an adult; `.reason` names the text that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def year_of_birth(text: str) -> int:
    """Return the year of birth that a person wrote.

    Raises:
        BadYearError: It is none.
    """
    text = text.strip()
    flaw = _flaw_of_year(text)
    if flaw is not None:
        raise BadYearError(flaw)
    return int(text)


def _flaw_of_year(text: str) -> str | None:
    if re.fullmatch("[0-9]{4}", text, re.ASCII) is None:
        return "year.no-number" if text else "year.empty"
    year, this = int(text), this_year()
    if year < EARLIEST_YEAR_OF_BIRTH:
        return "year.too-early"
    if year > this:
        return "year.future"
    return "year.too-young" if year > this - ADULT_AGE else None


def sex(text: str) -> Sex | None:
    """Return the sex that a person chose; whatever is no choice counts as none."""
    return cast("Sex", text) if text in get_args(Sex) else None
