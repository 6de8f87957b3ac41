"""The OpenAPI document describes the server: schemathesis sends cases from the document and validates each response.

`make test` sends one case in twenty, `make proof` all of them.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import aiohttp
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase

from mimi_async.identity import ClientCredentials
from mimi_async.server.api.app import ROUTES
from mimi_async.server.users.repository import DEV_CLIENT
from mimi_async.testing import IdentityServer
from mimi_async.wire import openapi
from mimi_async.wire.contract import PROBLEMS

from ...conftest import rounds
from ...postgres_server import Postgres
from ..client import a_key, a_test
from ..on_postgres import an_environment
from ..processes import serving

CASES = {
    "POST /v1/anonymous-users": 260,
    "POST /v1/sessions": 260,
    "GET /v1/user": 160,
    "PATCH /v1/user": 320,
    "DELETE /v1/user": 160,
    "GET /v1/user/export": 160,
    "GET /v1/user/hearing-tests": 260,
    "POST /v1/user/hearing-tests": 320,
    "DELETE /v1/user/hearing-tests/{id}": 50,
    "GET /healthz": 50,
    "GET /readyz": 50,
    "GET /openapi.json": 50,
}
"""Cases of each operation in `make proof`, together 2,100."""

REFUSES = [name for name in CASES if name.startswith(("POST", "PATCH")) or name.endswith("hearing-tests")]
"""The operations with input that can be invalid."""

CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})


class Checker:
    """Sends valid and invalid requests of the document to a server, and validates each response."""

    def __init__(self, url: str, credentials: ClientCredentials) -> None:
        self.session = requests.Session()
        self.url = url
        self.basic = aiohttp.encode_basic_auth(credentials.client_id, credentials.secret.reveal())
        self.schema = schemathesis.openapi.from_url(url + "/openapi.json", config=CONFIG)
        self.token = self._fresh_user()
        self.asked: Counter[str] = Counter()

    def operation(self, name: str) -> Any:
        method, path = name.split()
        return self.schema[path][method]

    def ask(self, name: str, case: Any) -> None:
        hypothesis.assume(not has_a_whole_float(case.body))
        move_to_the_past(case.body)
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"  # a document cannot express the versions of a user
        response = case.call(session=self.session, headers=self._authorization(name))
        self.asked[name] += 1
        assert response.status_code < 500
        case.validate_response(response, headers=self._authorization(name))
        if name == "DELETE /v1/user" and response.status_code == 204:
            self.token = self._fresh_user()

    def _authorization(self, name: str) -> dict[str, str]:
        _, path = name.split()
        if path in ("/v1/anonymous-users", "/v1/sessions"):
            return {"Authorization": self.basic}
        return {"Authorization": f"Bearer {self.token}"} if path.startswith("/v1/") else {}

    def _fresh_user(self) -> str:
        """Return the token of a user with a hearing test."""
        headers = {"Authorization": self.basic, "Idempotency-Key": a_key()}
        made = self.session.post(self.url + "/v1/anonymous-users", json={}, headers=headers).json()
        headers["Content-Type"] = "application/json"
        headers["Authorization"] = f"Bearer {made['access_token']}"
        self.session.post(self.url + "/v1/user/hearing-tests", data=json.dumps(a_test()), headers=headers)
        return str(made["access_token"])


def has_a_whole_float(body: object) -> bool:
    """JSON Schema takes 1980.0 for an integer, the server does not: a document cannot express that."""
    return isinstance(body, dict) and isinstance(body.get("year_of_birth"), float)


def move_to_the_past(body: object) -> None:
    """Set the year of a hearing test to a past leap year: a document cannot express the current time."""
    if isinstance(body, dict) and re.match("[0-9]{4}-", str(body.get("taken_at"))):
        body["taken_at"] = "2016" + body["taken_at"][4:]


@pytest.fixture
def checker(mimi_server: IdentityServer) -> Iterator[Checker]:
    checker = Checker(mimi_server.url, mimi_server.credentials)
    with checker.session:
        yield checker


def run_examples(strategy: Any, most: int, use: Callable[[Any], None]) -> None:
    @hypothesis.given(case=strategy)
    @hypothesis.settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def run(case: Any) -> None:
        use(case)

    run()


@pytest.mark.timeout(300)
def test_all_operations_conform(checker: Checker) -> None:
    check_all(checker, share=rounds(20, 1))
    assert checker.asked.total() >= rounds(90, 2000)


@pytest.mark.timeout(300)
async def test_two_processes_on_postgresql_conform(postgres: Postgres) -> None:
    dsn, options = postgres.make_database(), ("--workers", "2", "--log-level", "error")
    async with serving(dsn, *options, environ=an_environment()) as server:
        checker = Checker(server.url, DEV_CLIENT)
        with checker.session:
            check_all(checker, share=rounds(50, 1))
    assert checker.asked.total() >= rounds(30, 2000)


def check_all(checker: Checker, share: int) -> None:
    """Send the cases of each operation, or one in `share` of them."""
    for name, cases in CASES.items():
        operation = checker.operation(name)
        modes = [schemathesis.GenerationMode.POSITIVE]
        if name in REFUSES:
            modes.append(schemathesis.GenerationMode.NEGATIVE)
        for mode in modes:
            strategy = operation.as_strategy(generation_mode=mode)
            run_examples(strategy, cases // len(modes) // share, functools.partial(checker.ask, name))


DOCUMENT: dict[str, Any] = json.loads(openapi.build_document())


def test_every_route_is_described_and_nothing_else() -> None:
    described = {path: {method.upper() for method in methods} for path, methods in DOCUMENT["paths"].items()}
    assert described == {path: set(methods) for path, methods in ROUTES.items()}
    assert {f"{method} {path}" for path, methods in described.items() for method in methods} == CASES.keys()


def test_every_problem_has_its_status() -> None:
    assert {str(status) for status, _ in PROBLEMS.values()} - {"403"} <= {
        status for methods in DOCUMENT["paths"].values() for it in methods.values() for status in it["responses"]
    }


def test_no_field_could_name_a_person() -> None:
    fields = {field for schema in DOCUMENT["components"]["schemas"].values() for field in schema["properties"]}
    assert fields - {"250", "500", "1000", "2000", "4000", "8000"} == {
        *("anonymous_id", "access_token", "expires_in", "user"),
        *("id", "is_anonymous", "year_of_birth", "sex", "latest_hearing_test"),
        *("taken_at", "calibrated", "left", "right", "tests", "next_cursor"),
        *("is_latest", "received_at", "created_at", "hearing_tests", "status", "type", "title", "detail", "request_id"),
    }
    for message in ("NewUser", "LogIn", "UserPatch", "NewHearingTest", "NewPoints", "User"):
        assert DOCUMENT["components"]["schemas"][message]["additionalProperties"] is False


def test_ids_of_users_are_in_bodies_alone() -> None:
    parameters = [it["name"] for it in DOCUMENT["components"]["parameters"].values()]
    conditions = ["If-Match", "If-None-Match"]
    assert sorted(parameters) == ["Idempotency-Key", *conditions, "Mimi-Exchange", "X-Request-ID", "cursor", "id"]
    assert [path for path in DOCUMENT["paths"] if "{" in path] == ["/v1/user/hearing-tests/{id}"]


def test_a_reply_with_a_user_has_a_version() -> None:
    operations = DOCUMENT["paths"]["/v1/user"]
    for reply in (
        *(operations["get"]["responses"][it] for it in ("200", "304")),
        operations["patch"]["responses"]["200"],
    ):
        assert "ETag" in reply["headers"]
    assert "content" not in operations["get"]["responses"]["304"]


def test_the_server_is_beside_the_document_also_below_a_prefix() -> None:
    (server,) = DOCUMENT["servers"]
    assert urljoin("https://gateway.example/mimi/openapi.json", server["url"]) == "https://gateway.example/mimi/"


def test_the_document_follows_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "this_year", lambda: 2050)
    year = json.loads(openapi.build_document())["components"]["schemas"]["UserPatch"]["properties"]["year_of_birth"]
    assert (year["minimum"], year["maximum"]) == (1900, 2032)
