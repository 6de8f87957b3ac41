"""A client as a partner would write it by hand: aiohttp, and nothing of ours."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp
import attrs

from mimi_async.identity import ClientCredentials

LEVELS = {"250": 10.0, "500": 5.5, "1000": 0.0, "2000": -10.0, "4000": 120.0, "8000": 33.0}


def a_key() -> str:
    return secrets.token_hex(32)


def a_test(taken_at: str = "2026-03-01T10:00:00Z", **changes: object) -> dict[str, object]:
    return {"taken_at": taken_at, "calibrated": True, "left": LEVELS, "right": LEVELS} | changes


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The name of a problem of ours; everything else fails."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        assert self.json["request_id"] == self.headers["X-Request-ID"]
        return str(self.json["type"].removeprefix("urn:mimi-async:"))


class PlainClient:
    """A client of a server of the kit, or of any other that has a `url`, for which it needs credentials."""

    def __init__(self, server: Any, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        credentials: ClientCredentials | None = None,
        token: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        fields = {} if body is None else {"Content-Type": "application/json"}
        if credentials is not None:
            fields["Authorization"] = aiohttp.encode_basic_auth(credentials.client_id, credentials.secret.reveal())
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if key is not None:
            fields["Idempotency-Key"] = key
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = self.server.url + path
        async with self.session.request(method, url, data=data, headers=fields | dict(headers or {})) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.read())

    async def create(self, key: str | None = None, credentials: ClientCredentials | None = None) -> Answer:
        credentials = credentials or self.server.credentials
        return await self.ask("POST", "/v1/anonymous-users", {}, credentials=credentials, key=key or a_key())

    async def log_in(self, anonymous_id: str, credentials: ClientCredentials | None = None) -> Answer:
        body = {"anonymous_id": anonymous_id}
        return await self.ask("POST", "/v1/sessions", body, credentials=credentials or self.server.credentials)

    async def submit(self, token: str, test: object = None, key: str | None = None) -> Answer:
        return await self.ask("POST", "/v1/user/hearing-tests", test or a_test(), token=token, key=key or a_key())

    async def new_token(self) -> str:
        return str((await self.create()).json["access_token"])
