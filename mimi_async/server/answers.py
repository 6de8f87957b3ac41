"""Answers: their headers, problems, and what a request may have echoed."""

import math
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from ..wire.contract import EXCHANGE, PROBLEM_JSON, PROBLEMS, REQUEST_ID
from ..wire.service import write_problem

NAME: Final = "mimi-async"
"""What the field Server says: aiohttp would tell its own version and Python's."""

CLOSE: Final = f"Content-Type: {PROBLEM_JSON}\r\nCache-Control: no-store\r\nServer: {NAME}\r\nConnection: close\r\n"
"""The fields of a problem that is written without a request."""

_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})
_PROBLEM = CIMultiDict({hdrs.CONTENT_TYPE: PROBLEM_JSON, hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})
_EMPTY = CIMultiDict({hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: NAME})

_REQUEST_ID = istr(REQUEST_ID)
_EXCHANGE = istr(EXCHANGE)
_ECHOABLE = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}", re.ASCII)


class ProblemError(Exception):
    """A request that is answered by a problem (RFC 9457).

    Args:
        problem: One of `contract.PROBLEMS`, or an HTTP status for a problem of the type "about:blank".
        detail: What to change; quotes nothing of the request.
        fields: Further fields of the answer.
    """

    def __init__(self, problem: str | int, detail: str = "", fields: Mapping[str, str] | None = None) -> None:
        super().__init__(problem)
        self.name: str | None = problem if isinstance(problem, str) else None
        self.status: int = PROBLEMS[problem][0] if isinstance(problem, str) else problem
        self.detail = detail
        self.fields = fields


def invalid_input(detail: str) -> ProblemError:
    """Return the problem of a request with a field that is missing, unknown or invalid."""
    return ProblemError("invalid-input", detail)


def unserviceable_version() -> ProblemError:
    """Return the problem of a client whose version is no longer supported."""
    return ProblemError("unserviceable", "update the SDK")


def unavailable(detail: str) -> ProblemError:
    """Return the problem of a server that can't answer now."""
    return ProblemError(503, detail, {hdrs.RETRY_AFTER: "1"})


def too_many(detail: str, wait: float) -> ProblemError:
    """Return the problem of a client that asks too often; `wait` in seconds."""
    return ProblemError(429, detail, {hdrs.RETRY_AFTER: str(math.ceil(wait))})


def json_response(status: int, body: bytes) -> web.Response:
    """Return an answer with a body."""
    return web.Response(status=status, body=body, headers=_JSON)


def empty_response() -> web.Response:
    """Return a 204."""
    return web.Response(status=204, headers=_EMPTY)


def problem_response(
    status: int,
    *,
    request_id: str,
    name: str | None = None,
    detail: str = "",
    fields: Mapping[str, str] | None = None,
) -> web.Response:
    """Return a problem."""
    title = PROBLEMS[name][1] if name else HTTPStatus(status).phrase
    body = write_problem(status, title, name=name, detail=detail, request_id=request_id)
    response = web.Response(status=status, body=body, headers=_PROBLEM)
    response.headers[_REQUEST_ID] = request_id
    if fields:
        response.headers.update(fields)
    return response


def fresh_request_id() -> str:
    """Return an id for a request that brought none."""
    return secrets.token_hex(8)


def request_id_of(request: web.BaseRequest) -> str:
    """Return the id of a request: its own, if that is fit to be echoed and logged, else a fresh one."""
    own = request.headers.get(_REQUEST_ID)
    return own if own is not None and _ECHOABLE.fullmatch(own) else fresh_request_id()


def echo(request: web.BaseRequest, response: web.StreamResponse, request_id: str) -> None:
    """Give an answer the ids of its request. What is not fit to be echoed is left out."""
    response.headers[_REQUEST_ID] = request_id
    exchange = request.headers.get(_EXCHANGE)
    if exchange is not None and _ECHOABLE.fullmatch(exchange):
        response.headers[_EXCHANGE] = exchange
