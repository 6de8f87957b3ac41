"""Read and check what a browser sends: forms, the answers of the hearing test, a year of birth."""

import json
import re
from typing import Final, cast, get_args
from urllib.parse import parse_qsl

from aiohttp import web

from ..identity import ADULT_AGE, EARLIEST_YEAR_OF_BIRTH, Sex, this_year

_MAX_FIELDS: Final = 20
_MAX_CHARACTERS: Final = 2000

Form = dict[str, str]


class UnreadableFormError(Exception):
    """The body is not a form, or not a JSON object, of these pages."""


class UnsupportedFormError(UnreadableFormError):
    """The body has another Content-Type than the page takes."""


async def read_form(request: web.Request) -> Form:
    """Return the fields of a form; of a field that is sent twice, the last value.

    Raises:
        UnsupportedFormError: The Content-Type is not that of a form.
        UnreadableFormError: The body is not a form of these pages.
        web.HTTPRequestEntityTooLarge: It is larger than the partner's app allows.
    """
    text = (await _read_body(request, "application/x-www-form-urlencoded")).decode(errors="replace")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise UnreadableFormError from None
    return {name[:_MAX_CHARACTERS]: value[:_MAX_CHARACTERS] for name, value in fields}


async def read_answer(request: web.Request) -> tuple[str | None, bool | None]:
    """Return the state of a hearing test (None before it begins), and whether the tone was heard, or None.

    Raises:
        UnreadableFormError: The body is not an answer.
        web.HTTPRequestEntityTooLarge: It is larger than the partner's app allows.
    """
    body = await _read_body(request, "application/json")
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


async def _read_body(request: web.Request, content_type: str) -> bytes:
    if request.content_type != content_type:
        raise UnsupportedFormError
    try:
        return await request.read()
    except web.RequestPayloadError:  # it can't be decompressed, for example
        raise UnreadableFormError from None


class InvalidFieldError(Exception):
    """A field is not valid or in conflict with another change; `.reason` is the key of the text that explains it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_year_of_birth(text: str) -> int:
    """Return the year of birth that a person wrote.

    Raises:
        InvalidFieldError: The text is not the year of birth of an adult.
    """
    text, this = text.strip(), this_year()
    if re.fullmatch("[0-9]{4}", text) is None:
        raise InvalidFieldError("year.no-number" if text else "year.empty")
    year = int(text)
    if not EARLIEST_YEAR_OF_BIRTH <= year <= this - ADULT_AGE:
        too_late = "year.future" if year > this else "year.too-young"
        raise InvalidFieldError("year.too-early" if year < EARLIEST_YEAR_OF_BIRTH else too_late)
    return year


def parse_sex(text: str) -> Sex | None:
    """Return the sex that a person chose; None for any text that is not a choice."""
    return cast("Sex", text) if text in get_args(Sex) else None
