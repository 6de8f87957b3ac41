"""The OpenAPI document describes what the server does: schemathesis asks it 2,000 things, and believes nothing."""

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase

from examples.partner_cluster.postgres import Postgres
from mimi_async.identity import ClientCredentials
from mimi_async.server.handlers import ROUTES
from mimi_async.server.users import DEV_CLIENT
from mimi_async.testing import IdentityServer
from mimi_async.wire import openapi
from mimi_async.wire.contract import PROBLEMS

from ..conftest import rounds
from .client import a_key, a_test
from .on_postgres import an_environment
from .processes import serving

CASES = {
    "POST /v1/anonymous-users": 260,
    "POST /v1/sessions": 260,
    "GET /v1/user": 160,
    "PATCH /v1/user": 320,
    "DELETE /v1/user": 160,
    "GET /v1/user/export": 160,
    "GET /v1/user/hearing-tests": 260,
    "POST /v1/user/hearing-tests": 320,
    "GET /healthz": 50,
    "GET /readyz": 50,
    "GET /openapi.json": 50,
}
"""How many cases each operation gets: 2,000 and a few more."""


REFUSES = [name for name in CASES if name.startswith(("POST", "PATCH")) or name.endswith("hearing-tests")]
"""The operations that can be asked something wrong."""

CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})


class Interview:
    """Asks a server what its document allows, and what it forbids, and checks every reply."""

    def __init__(self, url: str, credentials: ClientCredentials) -> None:
        self.session = requests.Session()
        self.url = url
        self.basic = aiohttp.encode_basic_auth(credentials.client_id, credentials.secret.reveal())
        self.schema = schemathesis.openapi.from_url(url + "/openapi.json", config=CONFIG)
        self.token, self.cursor = self._fresh_user()
        self.asked: Counter[str] = Counter()
        self.replies: Counter[int] = Counter()

    def operation(self, name: str) -> Any:
        method, path = name.split()
        return self.schema[path][method]

    def ask(self, name: str, case: Any) -> None:
        hypothesis.assume(not says_a_whole_float(case.body))
        if re.fullmatch("[0-9a-f]{32}", str(case.query.get("cursor"))):
            case.query["cursor"] = self.cursor  # one that the server gave: a document can't say which those are
        response = case.call(session=self.session, headers=self._authorization(name))
        self.asked[name] += 1
        self.replies[response.status_code] += 1
        assert response.status_code < 500
        case.validate_response(response, headers=self._authorization(name))
        if name == "DELETE /v1/user" and response.status_code == 204:
            self.token, self.cursor = self._fresh_user()

    def _authorization(self, name: str) -> dict[str, str]:
        _, path = name.split()
        if path in ("/v1/anonymous-users", "/v1/sessions"):
            return {"Authorization": self.basic}
        return {"Authorization": f"Bearer {self.token}"} if path.startswith("/v1/") else {}

    def _fresh_user(self) -> tuple[str, str]:
        """Return a token, and the id of a hearing test."""
        headers = {"Authorization": self.basic, "Idempotency-Key": a_key()}
        made = self.session.post(self.url + "/v1/anonymous-users", json={}, headers=headers).json()
        headers["Content-Type"] = "application/json"
        headers["Authorization"] = f"Bearer {made['access_token']}"
        test = self.session.post(self.url + "/v1/user/hearing-tests", data=json.dumps(a_test()), headers=headers).json()
        return made["access_token"], test["id"]


def says_a_whole_float(body: object) -> bool:
    """JSON Schema takes 1980.0 for an integer, the server does not: no document could say so."""
    return isinstance(body, dict) and isinstance(body.get("year_of_birth"), float)


@pytest.fixture
def interview(mimi_server: IdentityServer) -> Iterator[Interview]:
    interview = Interview(mimi_server.url, mimi_server.credentials)
    with interview.session:
        yield interview


def examples(strategy: Any, most: int, use: Callable[[Any], None]) -> None:
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
def test_2000_cases_conform(interview: Interview) -> None:
    ask_everything(interview, share=1)
    print(f"\n{interview.asked.total()} cases: {dict(interview.replies)}")  # noqa: T201 - the proof says its count
    assert interview.asked.total() >= 2000


@pytest.mark.timeout(300)
async def test_two_processes_on_postgresql_conform_too(postgres: Postgres) -> None:
    dsn, options = postgres.make_database(), ("--workers", "2", "--log-level", "error")
    async with serving(dsn, *options, environ=an_environment()) as server:
        interview = Interview(server.url, DEV_CLIENT)
        with interview.session:
            ask_everything(interview, share=rounds(10, 1))
    assert interview.asked.total() >= rounds(200, 2000)


def ask_everything(interview: Interview, share: int) -> None:
    """Ask each operation so many things, or one in `share` of them."""
    for name, cases in CASES.items():
        operation = interview.operation(name)
        modes = [schemathesis.GenerationMode.POSITIVE]
        if name in REFUSES:
            modes.append(schemathesis.GenerationMode.NEGATIVE)
        for mode in modes:
            strategy = operation.as_strategy(generation_mode=mode)
            examples(strategy, cases // len(modes) // share, functools.partial(interview.ask, name))


DOCUMENT: dict[str, Any] = json.loads(openapi.document())


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
        *("created_at", "hearing_tests", "status", "type", "title", "detail", "request_id"),
    }
    for message in ("NewUser", "LogIn", "UserPatch", "NewHearingTest", "NewPoints", "User"):
        assert DOCUMENT["components"]["schemas"][message]["additionalProperties"] is False


def test_ids_are_in_bodies_alone() -> None:
    parameters = [it["name"] for it in DOCUMENT["components"]["parameters"].values()]
    assert sorted(parameters) == ["Idempotency-Key", "Mimi-Exchange", "X-Request-ID", "cursor"]
    assert not [path for path in DOCUMENT["paths"] if "{" in path]


def test_the_document_follows_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "this_year", lambda: 2050)
    year = json.loads(openapi.document())["components"]["schemas"]["UserPatch"]["properties"]["year_of_birth"]
    assert (year["minimum"], year["maximum"]) == (1900, 2032)
