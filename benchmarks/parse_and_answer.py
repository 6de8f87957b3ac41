"""A minimal server for comparison: it parses a creation, answers, and stores nothing."""

import sys

from aiohttp import web

_SESSION = {
    "user": {"id": "0" * 32, "is_anonymous": True, "year_of_birth": None, "sex": None, "latest_hearing_test": None},
    "access_token": "0" * 75,
    "expires_in": 900,
    "anonymous_id": "00000000-0000-0000-0000-000000000000",
}


async def create(request: web.Request) -> web.Response:
    """Answer a creation."""
    await request.json()
    return web.json_response(_SESSION, status=201)


async def ready(_: web.Request) -> web.Response:
    """Answer the readiness check."""
    return web.Response()


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/v1/anonymous-users", create)
    app.router.add_get("/readyz", ready)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
