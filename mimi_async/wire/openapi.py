"""The OpenAPI document of the contract: a table of operations, and the schemas of the message classes."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs
import msgspec

from ..identity import ADULT_AGE, EARLIEST_YEAR_OF_BIRTH, this_year
from ..secret import AnonymousId
from . import contract, messages

_REF = "#/components/schemas/{name}"

_Schema = dict[str, Any]

_DESCRIPTION = """\
One anonymous user for each account of a partner: created exactly once, found by its anonymousId, and never \
converted to a named one. No path and no field can identify a person. This contract is unofficial, and not affiliated \
with Mimi Hearing Technologies.
"""


def build_document() -> bytes:
    """Return the document (OpenAPI 3.1) as JSON."""
    return _build_document(this_year())


@functools.lru_cache(maxsize=1)
def _build_document(year: int) -> bytes:
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "mimi_async identity server", "version": "1", "description": _DESCRIPTION},
            "servers": [{"url": "."}],  # beside the document, also below a prefix that a gateway takes off
            "paths": _build_paths(),
            "components": {
                "schemas": _build_schemas(year),
                "responses": _build_problems(),
                "parameters": _build_parameters(),
                "headers": _build_headers(),
                "securitySchemes": _SECURITY,
            },
        }
    )


def _build_schemas(year: int) -> _Schema:
    used = {name for each in _OPERATIONS for name in (each.body, *each.replies.values()) if name}
    kinds = [getattr(messages, name) for name in ("Problem", *sorted(used))]
    _, schemas = msgspec.json.schema_components(kinds, schema_hook=_describe_secret, ref_template=_REF)
    schemas["UserPatch"]["properties"]["year_of_birth"] = {
        "type": ["integer", "null"],
        "minimum": EARLIEST_YEAR_OF_BIRTH,
        "maximum": year - ADULT_AGE,
    }
    schemas["User"]["properties"]["is_anonymous"] = {"const": True}
    return schemas


def _describe_secret(kind: type) -> _Schema:
    if kind is AnonymousId:
        shape = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
        return {"type": "string", "pattern": shape, "description": "A secret: it gives access to a hearing profile"}
    raise NotImplementedError


@attrs.frozen
class _Operation:
    """One row of the table: an operation, its replies (the message of each status, None for none) and its problems."""

    method: str
    path: str
    name: str
    summary: str
    replies: Mapping[int, str | None]
    auth: Literal["client", "user"] | None = None
    body: str | None = attrs.field(default=None, kw_only=True)
    parameters: Sequence[str] = attrs.field(default=(), kw_only=True)
    problems: Sequence[int] = attrs.field(default=(), kw_only=True)


# fmt: off
_OPERATIONS: Final = (
    _Operation("post", contract.ANONYMOUS_USERS, "createUser",
               "Create an anonymous user; a replay of the key returns the same user",
               {201: "Creation", 200: "Creation"},
               auth="client", body="NewUser", parameters=("IdempotencyKey",), problems=(410, 429)),
    _Operation("post", contract.SESSIONS, "logIn",
               "Open a session for the user of an anonymousId", {200: "SessionMessage"},
               auth="client", body="LogIn", problems=(404, 410, 429)),
    _Operation("get", contract.USER, "getUser",
               "The user; with If-None-Match a 304 where it still has this version", {200: "User", 304: None},
               auth="user", parameters=("IfNoneMatch",)),
    _Operation("patch", contract.USER, "patchUser",
               "Change the user: an absent field is kept, null clears it; with If-Match only if it has this version, "
               "or already is as asked", {200: "User"},
               auth="user", body="UserPatch", parameters=("IfMatch",), problems=(412,)),
    _Operation("delete", contract.USER, "eraseUser",
               "Erase the user permanently", {204: None}, auth="user"),
    _Operation("get", contract.EXPORT, "exportUser",
               "All data of the user", {200: "ExportMessage"}, auth="user"),
    _Operation("get", contract.HEARING_TESTS, "listTests",
               "The hearing tests, the last received first", {200: "HearingTestPage"},
               auth="user", parameters=("Cursor",), problems=(422,)),
    _Operation("post", contract.HEARING_TESTS, "submitTest",
               "Store a hearing test, once for each key", {201: "SubmittedTest", 200: "SubmittedTest"},
               auth="user", body="NewHearingTest", parameters=("IdempotencyKey",)),
    _Operation("delete", contract.HEARING_TEST, "deleteTest",
               "Delete a hearing test; where the user has no such test, nothing is left to do", {204: None},
               auth="user", parameters=("TestId",)),
    _Operation("get", contract.HEALTH, "healthz", "Whether the process runs", {200: "Status"}),
    _Operation("get", contract.READINESS, "readyz", "Whether the database responds", {200: "Status"}),
    _Operation("get", contract.OPENAPI, "openapi", "This document", {200: None}),
)
# fmt: on

_PROBLEMS_OF_AUTH: Final = (401, 426)
_PROBLEMS_OF_BODY: Final = (400, 413, 415, 422)
_PROBLEMS_OF_ALL: Final = (408, 500, 503)


def _build_paths() -> _Schema:
    paths: _Schema = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _build_operation(operation)
    return paths


def _build_operation(operation: _Operation) -> _Schema:
    problems = {*operation.problems}
    problems.update(_PROBLEMS_OF_AUTH if operation.auth else (), _PROBLEMS_OF_BODY if operation.body else ())
    parameters = (*operation.parameters, "RequestId", "Exchange")
    description: _Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [{operation.auth: []}] if operation.auth else [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in parameters],
        "responses": {str(status): _build_reply(status, message) for status, message in operation.replies.items()}
        | {str(it): {"$ref": f"#/components/responses/{it}"} for it in (*sorted(problems), *_PROBLEMS_OF_ALL)},
    }
    if operation.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=operation.body)}}}
        description["requestBody"] = {"required": True, "content": content}
    return description


def _build_reply(status: int, message: str | None) -> _Schema:
    reply: _Schema = {"description": "Done", "headers": _ECHOED}
    if message == "User" or status == 304:
        reply["headers"] = {**_ECHOED, contract.ETAG: {"$ref": f"#/components/headers/{contract.ETAG}"}}
    if status not in (204, 304):
        schema = {"type": "object"} if message is None else {"$ref": _REF.format(name=message)}
        reply["content"] = {"application/json": {"schema": schema}}
    return reply


_TITLES: Final = {
    400: "The body is not JSON",
    408: "The request arrived too slowly",
    413: "The body is too large",
    415: "The body is of another media type",
    429: "The client sends too many requests",
    500: "An internal error of the server",
    503: "The server cannot serve the request now",
}

_ECHOED: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in (contract.REQUEST_ID, contract.EXCHANGE)}

_SECURITY: Final = {
    "client": {"type": "http", "scheme": "basic", "description": "Client id and client secret of a product"},
    "user": {"type": "http", "scheme": "bearer", "description": "The access token of a log-in, good for 15 minutes"},
}


def _build_problems() -> _Schema:
    named: dict[int, list[str]] = {}
    for name, (status, _) in contract.PROBLEMS.items():
        named.setdefault(status, []).append(name)
    replies: _Schema = {}
    for status in sorted({*named, *_TITLES}):
        title = _TITLES.get(status) or "; ".join(contract.PROBLEMS[name][1] for name in named[status])
        headers = dict(_ECHOED)
        if field := {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(status):
            headers[field] = {"$ref": f"#/components/headers/{field}"}
        content = {contract.PROBLEM_JSON: {"schema": {"$ref": _REF.format(name="Problem")}}}
        replies[str(status)] = {"description": title, "headers": headers, "content": content}
    return replies


def _build_parameters() -> _Schema:
    echo = {"type": "string"}
    fit = "Echoed, if it is 1 to 128 of the characters A-Z, a-z, 0-9, '.', '_', ':', '+', '/', '=', '-'"
    key = {"type": "string", "pattern": contract.IDEMPOTENCY_KEY_PATTERN}
    cursor = {"type": "string", "pattern": contract.CURSOR_PATTERN}
    test_id = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    known = "Versions that were given by ETag, separated by commas, or *"
    return {
        "IdempotencyKey": {"name": contract.IDEMPOTENCY_KEY, "in": "header", "required": True, "schema": key},
        "RequestId": {"name": contract.REQUEST_ID, "in": "header", "description": fit, "schema": echo},
        "Exchange": {"name": contract.EXCHANGE, "in": "header", "description": fit, "schema": echo},
        "Cursor": {"name": "cursor", "in": "query", "description": "`next_cursor` of a page", "schema": cursor},
        "TestId": {"name": "id", "in": "path", "required": True, "schema": test_id},
        "IfMatch": {"name": contract.IF_MATCH, "in": "header", "description": known, "schema": echo},
        "IfNoneMatch": {"name": contract.IF_NONE_MATCH, "in": "header", "description": known, "schema": echo},
    }


def _build_headers() -> _Schema:
    described = {
        contract.REQUEST_ID: "As the request had it",
        contract.EXCHANGE: "As the request had it",
        contract.ETAG: "The version of the user: a strong entity tag",
        "Retry-After": "Seconds to wait",
        "WWW-Authenticate": "How to authenticate",
    }
    headers: _Schema = {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}
    for name in headers.keys() - {contract.EXCHANGE}:
        headers[name]["required"] = True
    return headers
