"""Responses: their header fields, problems, the echo of request ids, and the version of the user (RFC 9110, 8.8.3)."""

import math
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from ...wire.contract import ETAG, EXCHANGE, IF_MATCH, IF_NONE_MATCH, PROBLEM_JSON, PROBLEMS, REQUEST_ID
from ...wire.server_side import Profile, compute_version, write_problem, write_user

NAME: Final = "mimi-async"
"""The value of the field Server, which aiohttp would set to its own version and that of Python."""

CLOSE: Final[Mapping[str, str]] = {hdrs.CONNECTION: "close"}
"""The header field of a response after which the connection is closed."""

CLOSE_FIELDS: Final = (
    f"Content-Type: {PROBLEM_JSON}\r\nCache-Control: no-store\r\nServer: {NAME}\r\nConnection: close\r\n"
)
"""The header fields of a problem that is written without aiohttp."""

_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})
_PROBLEM = CIMultiDict({hdrs.CONTENT_TYPE: PROBLEM_JSON, hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})
_EMPTY = CIMultiDict({hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})

_REQUEST_ID = istr(REQUEST_ID)
_EXCHANGE = istr(EXCHANGE)
_ETAG: Final = istr(ETAG)
_IF_MATCH: Final = istr(IF_MATCH)
_IF_NONE_MATCH: Final = istr(IF_NONE_MATCH)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
_ECHOED_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}", re.ASCII)


class ProblemError(Exception):
    """The response to a request is a problem (RFC 9457).

    Args:
        problem: A key of `contract.PROBLEMS`, or an HTTP status for a problem of the type "about:blank".
        detail: What to change. Holds no part of the request.
        fields: Further header fields.
    """

    def __init__(self, problem: str | int, detail: str = "", fields: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(problem)
        self.name: str | None = problem if isinstance(problem, str) else None
        self.status: int = PROBLEMS[problem][0] if isinstance(problem, str) else problem
        self.detail = detail
        self.fields = fields


def invalid_input(detail: str) -> ProblemError:
    """Return the problem of a missing, unknown or invalid field."""
    return ProblemError("invalid-input", detail)


def rate_limited(detail: str, wait: float) -> ProblemError:
    """Return the problem of a client above a rate limit; `wait` in seconds."""
    return ProblemError(429, detail, {hdrs.RETRY_AFTER: str(math.ceil(wait))})


def json_response(status: int, body: bytes) -> web.Response:
    """Return a response with a JSON body."""
    return web.Response(status=status, body=body, headers=_JSON)


def empty_response(status: int = 204) -> web.Response:
    """Return a response without a body."""
    return web.Response(status=status, headers=_EMPTY)


def problem_response(problem: ProblemError, request_id: str) -> web.Response:
    """Return the response of a problem. It closes the connection if its fields say so."""
    title = PROBLEMS[problem.name][1] if problem.name else HTTPStatus(problem.status).phrase
    body = write_problem(problem.status, title, name=problem.name, detail=problem.detail, request_id=request_id)
    response = web.Response(status=problem.status, body=body, headers=_PROBLEM)
    response.headers[_REQUEST_ID] = request_id
    response.headers.update(problem.fields)
    if hdrs.CONNECTION in problem.fields:
        response.force_close()
    return response


def new_request_id() -> str:
    """Return an id for a request without a valid X-Request-ID."""
    return secrets.token_hex(8)


def read_request_id(request: web.BaseRequest) -> str:
    """Return the X-Request-ID of a request if it is valid, else a new id."""
    request_id = request.headers.get(_REQUEST_ID)
    return request_id if request_id is not None and _ECHOED_ID.fullmatch(request_id) else new_request_id()


def echo_ids(request: web.BaseRequest, response: web.StreamResponse, request_id: str) -> None:
    """Set X-Request-ID and, if it is valid, the Mimi-Exchange of the request."""
    response.headers[_REQUEST_ID] = request_id
    exchange = request.headers.get(_EXCHANGE)
    if exchange is not None and _ECHOED_ID.fullmatch(exchange):
        response.headers[_EXCHANGE] = exchange


def read_if_match(request: web.BaseRequest) -> Callable[[Profile], bool] | None:
    """Return the condition of If-Match as a predicate of a user, None without one.

    Versions are compared strongly: a weak entity tag matches nothing.
    """
    values = request.headers.getall(_IF_MATCH, None)
    if values is None or _is_any(values):
        return None
    versions = {tag for value in values for weak, tag in _TAG.findall(value) if not weak}
    return lambda profile: compute_version(write_user(profile)) in versions


def user_response(request: web.BaseRequest, profile: Profile) -> web.Response:
    """Return the response with a user and its version, or a 304 for a GET or HEAD whose If-None-Match has it."""
    body = write_user(profile)
    version = compute_version(body)
    values = request.headers.getall(_IF_NONE_MATCH, ()) if request.method in ("GET", "HEAD") else ()
    is_known = _is_any(values) or any(tag == version for value in values for _, tag in _TAG.findall(value))
    response = empty_response(304) if is_known else json_response(200, body)
    response.headers[_ETAG] = version
    return response


def _is_any(values: Sequence[str]) -> bool:
    return [value.strip() for value in values] == ["*"]
