"""The page of the hearing test as the server renders it, and a server with scripted replies."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from aiohttp import web

from mimi_async.web.security import FIELDS

STATIC = Path(__file__).parents[2] / "mimi_async" / "web" / "static"
POLICY = FIELDS["Content-Security-Policy"]
HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title><link rel="icon" href="/static/none">'
SCRIPT = '<script type="module" src="/static/mimi.js"></script></html>'
TEST_PAGE = """
<main><section id="hearing-test" hidden data-begin="/test/begin" data-answer="/test/answer" data-results="/results"
  data-title-right="Right ear" data-title-left="Left ear"
  data-offline-title="No connection" data-offline-detail="We try again by ourselves."
  data-no-audio-title="No sound" data-no-audio-detail="Allow this page to play sound.">
  <div data-step="prepare"><h1>Hearing test</h1>
    <button type="button" data-do="sample-right">Right</button>
    <button type="button" data-do="sample-left">Left</button><hr>
    <button type="button" data-do="begin">Begin the test</button>
    <button type="button" data-do="resume" hidden>Go on with your test</button>
    <button type="button" data-do="restart" hidden>Begin again</button></div>
  <div data-step="run" hidden><h2 data-ear tabindex="-1"></h2>
    <progress max="1" value="0" aria-label="Progress"></progress>
    <button type="button" data-do="heard">I hear it</button><hr>
    <button type="button" data-do="stop">Stop</button></div>
  <div data-step="paused" hidden><h2 tabindex="-1">Paused</h2>
    <button type="button" data-do="resume">Resume</button>
    <button type="button" data-do="restart">Begin once more</button></div>
  <div data-step="error" hidden role="alert"><h2 data-title tabindex="-1"></h2><p data-detail></p>
    <a data-sign-in hidden target="_blank" rel="noopener">Sign in</a>
    <a data-leave href="/sign-in" hidden>To the hearing profile</a>
    <button type="button" data-do="retry" hidden>Try again</button>
    <button type="button" data-do="restart" hidden>Start over</button>
    <button type="button" data-do="prepare" hidden>Check the sound</button></div>
  <p data-says role="status" aria-live="polite"></p>
</section></main>
"""
CLOSED_PAGE = '<main id="closed" data-retry-seconds="5"><h1>Closed</h1></main>'


def trial(state: str, *, ear: str = "right", level: float | None = 30.0, progress: float = 0.0) -> dict[str, Any]:
    return {"state": state, "tone": {"ear": ear, "frequency": 1000, "level": level}, "progress": progress}


def error_reply(next_step: str, status: int, *, sign_in: str | None = None, **headers: str) -> web.Response:
    body = {"title": f"Please {next_step}", "detail": "Something is wrong.", "next_step": next_step, "sign_in": sign_in}
    return web.json_response(body, status=status, headers={name.replace("_", "-"): headers[name] for name in headers})


Reply = Mapping[str, Any] | web.Response | None
"""JSON, a response, or None to cut the connection."""


@attrs.define(eq=False)
class Site:
    """A server on a loopback port.

    Attributes:
        script: What the next requests of the test get, one each: JSON, a response, or None to cut the connection.
        asked: The path and the body of each request of the test.
        is_open: Whether /closed is open again.
        moved: Whether /closed leads to the sign-in, on another origin.
        closed_requests: The number of requests of /closed.
    """

    url: str = ""
    script: list[Reply] = attrs.field(factory=list)
    asked: list[tuple[str, Any]] = attrs.field(factory=list)
    is_open: bool = False
    moved: bool = False
    closed_requests: int = 0
    _go: asyncio.Event = attrs.field(factory=asyncio.Event)

    def hold(self) -> None:
        """Let requests wait for their answers from now on."""
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert (request.method, request.content_type) == ("POST", "application/json")
        assert request.headers["Sec-Fetch-Site"] == "same-origin"
        self.asked.append((request.path, await request.json()))
        await self._go.wait()
        scripted = self.script.pop(0)
        if scripted is None:
            assert request.transport is not None
            request.transport.abort()
        return scripted if isinstance(scripted, web.Response) else web.json_response(scripted)

    async def show_closed(self, request: web.Request) -> web.Response:
        self.closed_requests += 1
        await self._go.wait()
        if self.moved:
            elsewhere = self.url.replace("127.0.0.1", "localhost")
            return web.Response(status=303, headers={"Location": f"{elsewhere}/sign-in"})
        return html("<h1>Open</h1>") if self.is_open else html(CLOSED_PAGE, status=503)


def html(body: str, status: int = 200) -> web.Response:
    headers = {"Content-Security-Policy": POLICY}
    return web.Response(text=HEAD + body + SCRIPT, status=status, content_type="text/html", headers=headers)


async def _show(request: web.Request) -> web.Response:
    return html(TEST_PAGE if request.path == "/test" else "<h1>Other page</h1>")


async def _script(request: web.Request) -> web.Response:
    return web.Response(text=(STATIC / "mimi.js").read_text(), content_type="text/javascript")


async def _close(request: web.Request, response: web.StreamResponse) -> None:
    """Keep no connection alive: Chromium repeats a request if a kept connection is cut."""
    response.force_close()


async def _nothing(request: web.Request) -> web.Response:
    return web.Response(status=204)


@asynccontextmanager
async def serve() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    site.release()
    app.on_response_prepare.append(_close)
    app.router.add_post("/test/{request:begin|answer}", site.answer)
    app.router.add_get("/closed", site.show_closed)
    app.router.add_get("/static/mimi.js", _script)
    app.router.add_get("/static/none", _nothing)
    app.router.add_get("/{page:test|results|sign-in}", _show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        site.release()
        await runner.cleanup()
