"""The application: the routes, their dispatch, and the translation of every error to a problem of the contract."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from ...errors import describe_exception
from ...wire import contract
from ...wire.server_side import RefusedBodyError
from . import handlers
from .context import ServerContext
from .responses import ProblemError, echo_ids, invalid_input, problem_response, read_request_id

_log = logging.getLogger(__name__)

Endpoint = Callable[[ServerContext, web.BaseRequest], Awaitable[web.Response]]

ROUTES: Final[dict[str, dict[str, Endpoint]]] = {
    contract.ANONYMOUS_USERS: {"POST": handlers.create_user},
    contract.SESSIONS: {"POST": handlers.log_in},
    contract.USER: {"GET": handlers.get_user, "PATCH": handlers.patch_user, "DELETE": handlers.erase_user},
    contract.EXPORT: {"GET": handlers.export_user},
    contract.HEARING_TESTS: {"GET": handlers.list_tests, "POST": handlers.submit_test},
    contract.HEARING_TEST: {"DELETE": handlers.delete_test},
    contract.HEALTH: {"GET": handlers.report_health},
    contract.READINESS: {"GET": handlers.report_readiness},
    contract.OPENAPI: {"GET": handlers.describe_api},
}
"""Path → method → handler. No path can identify a person."""


def find_route(path: str) -> str:
    """Return the key of `ROUTES` for a path, the path itself if it is unknown."""
    parent, _, test_id = path.rpartition("/")
    return contract.HEARING_TEST if test_id and parent == contract.HEARING_TESTS else path


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""The function that `aiohttp.web.Server` calls for each request."""


def make_app(context: ServerContext) -> Handler:
    """Return the contract as one handler. Every response, also a problem, has the ids of its request."""

    async def app(request: web.BaseRequest) -> web.StreamResponse:
        request_id = read_request_id(request)
        started = time.perf_counter()
        response: web.StreamResponse
        try:
            response = await _handle(context, request)
        except Exception as error:  # noqa: BLE001 - the client gets a problem of the contract for every error
            response = _respond(_translate_error(error, request_id), request, request_id)
        echo_ids(request, response, request_id)
        if _log.isEnabledFor(logging.DEBUG):
            milliseconds = (time.perf_counter() - started) * 1000
            _log.debug("%s %s %d %.1f ms", request_id, _describe(request), response.status, milliseconds)
        return response

    return app


async def _handle(context: ServerContext, request: web.BaseRequest) -> web.Response:
    path = request.path
    methods = ROUTES.get(find_route(path))
    if methods is None:
        problem = ProblemError("unknown-path", "the contract has no such path")
        raise problem
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = methods.get(method)
    if endpoint is None:
        allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
        raise ProblemError(405, "the contract has no such method for this path", {hdrs.ALLOW: ", ".join(allowed)})
    is_unserviceable = context.settings.is_unserviceable
    if is_unserviceable and path.startswith("/v1/") and is_unserviceable(request.headers.get("User-Agent", "")):
        problem = ProblemError("unserviceable", "update the SDK")
        raise problem
    return await endpoint(context, request)


def _translate_error(error: Exception, request_id: str) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RefusedBodyError):
        return ProblemError(400, error.detail) if error.status == 400 else invalid_input(error.detail)
    _log.error("%s: internal error: %s", request_id, describe_exception(error))
    return ProblemError(500, "internal error: see the log of the server")


def _respond(problem: ProblemError, request: web.BaseRequest, request_id: str) -> web.Response:
    level = logging.WARNING if problem.status >= 500 else logging.INFO
    detail = problem.detail and f": {problem.detail}"
    _log.log(level, "%s %s %d%s", request_id, _describe(request), problem.status, detail)
    return problem_response(problem, request_id)


def _describe(request: web.BaseRequest) -> str:
    """Return method and route for the log. An unknown path is not logged: the client may have written anything."""
    route = find_route(request.path)
    return f"{request.method} {route}" if route in ROUTES else "unknown path"
