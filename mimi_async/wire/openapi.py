"""The OpenAPI document of the contract, from the very classes that read and write its messages."""

import functools
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..identity import ADULT_AGE, EARLIEST_YEAR_OF_BIRTH, AnonymousId, this_year
from . import contract, messages

_REF = "#/components/schemas/{name}"

_Schema = dict[str, Any]

_MESSAGES: Final = (
    messages.NewUser,
    messages.LogIn,
    messages.UserPatch,
    messages.NewHearingTest,
    messages.User,
    messages.SessionMessage,
    messages.Creation,
    messages.HearingTest,
    messages.HearingTestPage,
    messages.ExportMessage,
    messages.Status,
    messages.Problem,
)

_DESCRIPTION = """\
One anonymous user for each account of a partner: created exactly once, found by its anonymousId, and never turned \
into a named one. No path and no field could name a person. This contract is unofficial, and not affiliated with \
Mimi Hearing Technologies.
"""


def document() -> bytes:
    """Return the document (OpenAPI 3.1) as JSON."""
    return _document(this_year())


@functools.lru_cache(maxsize=1)
def _document(year: int) -> bytes:
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "mimi_async identity server", "version": "1", "description": _DESCRIPTION},
            "paths": _paths(),
            "components": {
                "schemas": _schemas(year),
                "responses": _problems(),
                "parameters": _parameters(),
                "headers": _headers(),
                "securitySchemes": _SECURITY,
            },
        }
    )


def _schemas(year: int) -> _Schema:
    _, schemas = msgspec.json.schema_components(_MESSAGES, schema_hook=_of_secret, ref_template=_REF)
    schemas["UserPatch"]["properties"]["year_of_birth"] = {
        "type": ["integer", "null"],
        "minimum": EARLIEST_YEAR_OF_BIRTH,
        "maximum": year - ADULT_AGE,
    }
    schemas["User"]["properties"]["is_anonymous"] = {"const": True}
    return schemas


def _of_secret(kind: type) -> _Schema:
    if kind is AnonymousId:
        shape = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
        return {"type": "string", "pattern": shape, "description": "A secret: it opens a hearing profile"}
    raise NotImplementedError


def _paths() -> _Schema:
    basic: list[_Schema] = [{"client": []}]
    bearer: list[_Schema] = [{"user": []}]
    return {
        contract.ANONYMOUS_USERS: {
            "post": _operation(
                "createUser",
                "Make an anonymous user; a replay of the key gets the same one, for ever",
                {201: "Creation", 200: "Creation"},
                (400, 401, 410, 413, 415, 422, 426, 429),
                basic,
                body="NewUser",
                parameters=("IdempotencyKey",),
            )
        },
        contract.SESSIONS: {
            "post": _operation(
                "logIn",
                "Open a session for the user behind an anonymousId",
                {200: "SessionMessage"},
                (400, 401, 404, 410, 413, 415, 422, 426, 429),
                basic,
                body="LogIn",
            )
        },
        contract.USER: _user_paths(bearer),
        contract.EXPORT: {
            "get": _operation(
                "exportUser", "Everything held about the user", {200: "ExportMessage"}, (401, 426), bearer
            )
        },
        contract.HEARING_TESTS: _test_paths(bearer),
        contract.HEALTH: {"get": _operation("healthz", "Whether the process lives", {200: "Status"})},
        contract.READINESS: {"get": _operation("readyz", "Whether the database answers", {200: "Status"})},
        contract.OPENAPI: {"get": _operation("openapi", "This document", {200: None})},
    }


def _user_paths(bearer: list[_Schema]) -> _Schema:
    return {
        "get": _operation("getUser", "The user", {200: "User"}, (401, 426), bearer),
        "patch": _operation(
            "patchUser",
            "Change the user: an absent field is kept, null clears it",
            {200: "User"},
            (400, 401, 413, 415, 422, 426),
            bearer,
            body="UserPatch",
        ),
        "delete": _operation("eraseUser", "Erase the user for ever", {204: None}, (401, 426), bearer),
    }


def _test_paths(bearer: list[_Schema]) -> _Schema:
    return {
        "get": _operation(
            "listTests",
            "The hearing tests, newest first",
            {200: "HearingTestPage"},
            (401, 422, 426),
            bearer,
            parameters=("Cursor",),
        ),
        "post": _operation(
            "submitTest",
            "Keep a hearing test, once for each key",
            {201: "HearingTest", 200: "HearingTest"},
            (400, 401, 413, 415, 422, 426),
            bearer,
            body="NewHearingTest",
            parameters=("IdempotencyKey",),
        ),
    }


def _operation(
    name: str,
    summary: str,
    replies: dict[int, str | None],
    problems: Sequence[int] = (),
    security: list[_Schema] | None = None,
    *,
    body: str | None = None,
    parameters: Sequence[str] = (),
) -> _Schema:
    """Describe one operation; `replies` names the message of each status, None for no message of ours."""
    operation: _Schema = {
        "operationId": name,
        "summary": summary,
        "security": security or [],
        "parameters": [{"$ref": f"#/components/parameters/{it}"} for it in (*parameters, "RequestId", "Exchange")],
        "responses": {
            **{str(status): _reply(status, message) for status, message in replies.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in (*problems, *_ANYWHERE)},
        },
    }
    if body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=body)}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _reply(status: int, message: str | None) -> _Schema:
    reply: _Schema = {"description": "Done", "headers": _ECHOED}
    if status != 204:
        schema = {"type": "object"} if message is None else {"$ref": _REF.format(name=message)}
        reply["content"] = {"application/json": {"schema": schema}}
    return reply


_ANYWHERE = (408, 500, 503)

_TITLES: Final = {
    400: "The body is not JSON",
    408: "The request came too slowly",
    413: "The body is too large",
    415: "The body is of another media type",
    429: "The client asks too often",
    500: "A defect of the server",
    503: "The server can't answer now",
}

_ECHOED: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in (contract.REQUEST_ID, contract.EXCHANGE)}

_SECURITY: Final = {
    "client": {"type": "http", "scheme": "basic", "description": "Client id and client secret of a product"},
    "user": {"type": "http", "scheme": "bearer", "description": "The access token of a log-in, good for 15 minutes"},
}


def _problems() -> _Schema:
    named: dict[int, list[str]] = {}
    for name, (status, _) in contract.PROBLEMS.items():
        named.setdefault(status, []).append(name)
    replies: _Schema = {}
    for status in sorted({*named, *_TITLES}):
        title = _TITLES.get(status) or "; ".join(contract.PROBLEMS[name][1] for name in named[status])
        schema: _Schema = {"$ref": _REF.format(name="Problem")}
        headers = dict(_ECHOED)
        if status in (429, 503):
            headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        if status == 401:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
        content = {contract.PROBLEM_JSON: {"schema": schema}}
        replies[str(status)] = {"description": title, "headers": headers, "content": content}
    return replies


def _parameters() -> _Schema:
    echo = {"type": "string"}
    fit = "Echoed, if it is 1 to 128 of the characters A-Z, a-z, 0-9, '.', '_', ':', '+', '/', '=', '-'"
    key = {"type": "string", "pattern": contract.IDEMPOTENCY_KEY_SHAPE}
    cursor = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    return {
        "IdempotencyKey": {"name": contract.IDEMPOTENCY_KEY, "in": "header", "required": True, "schema": key},
        "RequestId": {"name": contract.REQUEST_ID, "in": "header", "description": fit, "schema": echo},
        "Exchange": {"name": contract.EXCHANGE, "in": "header", "description": fit, "schema": echo},
        "Cursor": {"name": "cursor", "in": "query", "description": "`next_cursor` of a page", "schema": cursor},
    }


def _headers() -> _Schema:
    text = {"type": "string"}
    return {
        contract.REQUEST_ID: {"description": "As the request had it", "required": True, "schema": text},
        contract.EXCHANGE: {"description": "As the request had it", "schema": text},
        "Retry-After": {"description": "Seconds to wait", "required": True, "schema": {"type": "string"}},
        "WWW-Authenticate": {"description": "How to authenticate", "required": True, "schema": text},
    }
