"""The handlers of the routes: each reads a request, calls the repository, writes the response."""

import datetime as dt
import re
import secrets

import attrs
from aiohttp import web

from ...wire import contract, openapi, server_side
from ..rate_limits import TOO_MANY_UNKNOWN_IDS, TOO_MANY_USERS
from ..users.repository import NewUser, Refusal
from .context import Problems, ServerContext
from .request_body import read_body, read_idempotency_key
from .responses import (
    ProblemError,
    empty_response,
    invalid_input,
    json_response,
    rate_limited,
    read_if_match,
    user_response,
)

_CURSOR = re.compile(contract.CURSOR_PATTERN.rstrip("$"), re.ASCII)
_TEST_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


async def create_user(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Create an anonymous user, or return the user that the same key created before."""
    client, key = context.read_client(request), read_idempotency_key(request)
    server_side.read_create_user(await read_body(request, context.settings.body_seconds))
    new_user = NewUser(context.keys, key, context.keys.digest_create_key(key))
    wait = context.limits.creations.seconds_until_free(client.client_id)
    problems: Problems = {Refusal.LIMITED: lambda: rate_limited(TOO_MANY_USERS, wait)}
    user = await context.ask(context.repository.create(client, new_user, may_make=not wait), problems)
    if user.is_new:
        context.limits.creations.add(client.client_id)
    token = context.sign_token(user.profile.id)
    anonymous_id = new_user.anonymous_id(user.partner)
    body = server_side.write_creation(user.profile, token, context.settings.token_seconds, anonymous_id)
    return json_response(201 if user.is_new else 200, body)


async def log_in(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Open a session for the user of an anonymousId."""
    client = context.read_client(request)
    anonymous_id = server_side.read_log_in(await read_body(request, context.settings.body_seconds))
    problems: Problems = {Refusal.UNKNOWN: lambda: _unknown_id(context, client.client_id)}
    user = await context.ask(context.repository.find(client, context.keys.digest_id(anonymous_id)), problems)
    token = context.sign_token(user.profile.id)
    return json_response(200, server_side.write_session(user.profile, token, context.settings.token_seconds))


def _unknown_id(context: ServerContext, client_id: str) -> ProblemError:
    """Count an unknown id. Return a 404, or a 429 if the client seems to guess ids."""
    wait = context.limits.unknown_ids.seconds_until_free(client_id)
    if wait:
        return rate_limited(TOO_MANY_UNKNOWN_IDS, wait)
    context.limits.unknown_ids.add(client_id)
    return ProblemError("unknown-anonymous-id")


async def get_user(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Return the user."""
    return user_response(request, await context.ask(context.repository.read(context.read_user_id(request))))


async def patch_user(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Change the user if it has the version that the request expects."""
    user_id = context.read_user_id(request)
    changes = server_side.read_patch(await read_body(request, context.settings.body_seconds))
    profile = await context.ask(context.repository.change(user_id, changes, read_if_match(request)))
    return user_response(request, profile)


async def erase_user(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Erase the user permanently."""
    await context.ask(context.repository.erase(context.read_user_id(request)))
    return empty_response()


async def export_user(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Return all data of the user."""
    export = await context.ask(context.repository.export(context.read_user_id(request)))
    return json_response(200, server_side.write_export(export.profile, export.created_at, export.tests))


async def submit_test(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Store a hearing test, once for each key."""
    user_id, key = context.read_user_id(request), read_idempotency_key(request)
    now = context.clock()
    test = server_side.read_new_test(
        await read_body(request, context.settings.body_seconds), dt.datetime.fromtimestamp(now, dt.UTC)
    )
    test = attrs.evolve(test, id=secrets.token_hex(16))
    digest = context.keys.digest_test_key(user_id, key)
    submission = await context.ask(context.repository.add_test(user_id, digest, test, int(now * 1e6)))
    body = server_side.write_submission(submission.test, is_latest=submission.is_latest)
    return json_response(201 if submission.is_new else 200, body)


async def delete_test(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Delete a hearing test. A missing test counts as deleted, so that the request can be repeated."""
    user_id, test_id = context.read_user_id(request), request.path.rpartition("/")[2]
    await context.ask(context.repository.delete_test(user_id, test_id if _TEST_ID.fullmatch(test_id) else ""))
    return empty_response()


async def list_tests(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Return a page of hearing tests."""
    user_id, cursor = context.read_user_id(request), request.query.get("cursor")
    if cursor is not None and _CURSOR.fullmatch(cursor) is None:
        msg = "the cursor is not that of a page"
        raise invalid_input(msg)
    page = await context.ask(context.repository.tests(user_id, cursor))
    return json_response(200, server_side.write_tests(page.tests, page.next_cursor))


async def report_health(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Report that the process runs."""
    del context, request
    return json_response(200, server_side.write_status("alive"))


async def report_readiness(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Report whether the database responds."""
    del request
    await context.ask(context.repository.ping())
    return json_response(200, server_side.write_status("ready"))


async def describe_api(context: ServerContext, request: web.BaseRequest) -> web.Response:
    """Return the OpenAPI document."""
    del context, request
    return json_response(200, openapi.build_document())
