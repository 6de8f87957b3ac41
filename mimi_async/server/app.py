"""The application: finds the handler of a request, and lets no answer leave that is none of the contract."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from ..errors import described
from ..wire.service import RefusedBodyError
from .answers import ProblemError, echo, invalid_input, problem_response, request_id_of, unserviceable_version
from .handlers import ROUTES, Desk

_log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""What `aiohttp.web.Server` calls for each request."""


def make_app(desk: Desk) -> Handler:
    """Return the whole contract as one handler. Every answer, errors too, carries the ids of its request."""

    async def app(request: web.BaseRequest) -> web.StreamResponse:
        request_id = request_id_of(request)
        begun = time.perf_counter()
        response: web.StreamResponse
        try:
            response = await _answered(desk, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer of the contract
            response = _problem(_problem_of(error, request_id), request, request_id)
        echo(request, response, request_id)
        if _log.isEnabledFor(logging.DEBUG):
            milliseconds = (time.perf_counter() - begun) * 1000
            _log.debug("%s %s %d %.1f ms", request_id, _told(request), response.status, milliseconds)
        return response

    return app


async def _answered(desk: Desk, request: web.BaseRequest) -> web.Response:
    path = request.path
    methods = ROUTES.get(path)
    if methods is None:
        raise ProblemError(404, "the contract has no such path")
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = methods.get(method)
    if endpoint is None:
        allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
        raise ProblemError(405, "the contract has no such method here", {hdrs.ALLOW: ", ".join(allowed)})
    unserviceable = desk.settings.unserviceable
    if unserviceable is not None and path.startswith("/v1/") and unserviceable(request.headers.get("User-Agent", "")):
        raise unserviceable_version()
    return await endpoint(desk, request)


def _problem_of(error: Exception, request_id: str) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RefusedBodyError):
        return ProblemError(400, error.detail) if error.status == 400 else invalid_input(error.detail)
    _log.error("%s: a defect: %s", request_id, described(error))
    return ProblemError(500, "a defect of the server; its log tells more")


def _problem(problem: ProblemError, request: web.BaseRequest, request_id: str) -> web.Response:
    level = logging.WARNING if problem.status >= 500 else logging.INFO
    why = problem.detail and f": {problem.detail}"
    _log.log(level, "%s: %s was answered by %d%s", request_id, _told(request), problem.status, why)
    response = problem_response(
        problem.status, request_id=request_id, name=problem.name, detail=problem.detail, fields=problem.fields
    )
    if problem.fields and hdrs.CONNECTION in problem.fields:
        response.force_close()
    return response


def _told(request: web.BaseRequest) -> str:
    """What the log says of a request: nothing that a stranger wrote."""
    methods = ROUTES.get(request.path)
    return "a path of a stranger" if methods is None else f"{request.method} {request.path}"
