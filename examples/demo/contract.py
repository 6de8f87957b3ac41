"""Check that no request of the HTTP contract can add a name or an e-mail address: read the schema, and try it."""

import secrets
from collections.abc import Iterator
from typing import Any

import aiohttp

from mimi_async import AnonymousId, ClientCredentials

NAMES = ({"name": "Anna"}, {"email": "anna@example.org"}, {"is_anonymous": False})
"""Fields that would make a user a named one."""

Schema = dict[str, Any]


async def request_fields(server: str) -> tuple[set[str], bool]:
    """Return all request fields of the server's OpenAPI document, and whether it forbids others."""
    async with aiohttp.ClientSession(server) as http, http.get("/openapi.json") as reply:
        document = await reply.json()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    bodies = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    roots = [media["schema"] for body in bodies for media in body["content"].values()]
    objects = [part for root in roots for part in _objects(document, root)]
    fields = {name for part in objects for name in part["properties"]}
    return fields, all(part.get("additionalProperties") is False for part in objects)


def _objects(document: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the object schemas within a schema."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "object":
        yield schema
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from _objects(document, part)


async def named_attempts(server: str, credentials: ClientCredentials, anonymous_id: AnonymousId) -> list[int]:
    """Send each request that describes a user with a name added; return the statuses."""
    basic = aiohttp.encode_basic_auth(credentials.client_id, credentials.secret.reveal())
    statuses = []
    async with aiohttp.ClientSession(server) as http:

        async def ask(method: str, path: str, body: object, **headers: str) -> tuple[int, Any]:
            async with http.request(method, path, json=body, headers=headers) as reply:
                return reply.status, await reply.json()

        log_in = {"anonymous_id": anonymous_id.reveal()}
        _, session = await ask("POST", "/v1/sessions", log_in, Authorization=basic)
        bearer = f"Bearer {session['access_token']}"
        for name in NAMES:
            key = {"Idempotency-Key": secrets.token_hex(32), "Authorization": basic}
            statuses += [
                (await ask("POST", "/v1/anonymous-users", name, **key))[0],
                (await ask("POST", "/v1/sessions", log_in | name, Authorization=basic))[0],
                (await ask("PATCH", "/v1/user", name, Authorization=bearer))[0],
            ]
    return statuses
