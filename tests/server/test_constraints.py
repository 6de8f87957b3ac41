"""No column can name a person: the constraints of both databases refuse it."""

import sqlite3
from contextlib import closing

import asyncpg
import pytest

from mimi_async.testing import IdentityServer

from .client import PlainClient
from .on_postgres import PostgresIdentityServer

DATABASES = ["sqlite", "postgresql"]
REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)

NEW_USERS = [
    *("'Ada Lovelace', {digest}, {digest}", "'ada@example.org', {digest}, {digest}"),
    *("'acme', 'Ada', {digest}", "'acme', {digest}, 'Ada'"),
]
CHANGES = {
    "users": [
        *("user_id = 'Ada'", "user_id = {byte}", "user_id = NULL", "created_at = 'Ada'", "sex = 'Ada'"),
        *("year_of_birth = 'Ada'", "year_of_birth = 1815"),
        "created_at = NULL, user_id = NULL, year_of_birth = 1980",
    ],
    "clients": ["partner = 'Ada Lovelace'", "client_id = 'ada@example.org'", "secret_digest = 'Ada'"],
    "hearing_tests": [
        *("test_id = 'Ada'", "test_id = 'zdazdazdazdazdazdazdazdazdazdazda'"),
        *("key_digest = 'Ada'", "user_id = {digest}"),
        *("taken_at = 'Ada'", "calibrated = 'Ada'", "left_250 = 'Ada'", "left_250 = 'NaN'", "right_8000 = 121"),
    ],
}
STATEMENTS = [
    *(f"INSERT INTO {{schema}}users (partner, create_digest, id_digest) VALUES ({row})" for row in NEW_USERS),
    "INSERT INTO {schema}key_checks VALUES ('Ada', {digest})",
    *(f"UPDATE {{schema}}{table} SET {change}" for table, changes in CHANGES.items() for change in changes),
]


async def execute(server: IdentityServer, statement: str) -> None:
    if isinstance(server, PostgresIdentityServer):
        digest = "00" * 32
        text = statement.format(schema="mimi_server.", digest=f"'\\x{digest}'", byte="'\\x00'")
        connection = await asyncpg.connect(server.dsn)
        try:
            await connection.execute(text)
        finally:
            await connection.close()
    else:
        with closing(sqlite3.connect(server.database)) as file:
            file.execute("PRAGMA foreign_keys = ON")
            file.execute(statement.format(schema="", digest="zeroblob(32)", byte="x'00'"))


async def test_no_column_can_name_a_person(client: PlainClient, server: IdentityServer) -> None:
    token = await client.new_token()
    for statement in STATEMENTS:
        if "hearing_tests" in statement:
            await client.submit(token)
        with pytest.raises(REFUSED):
            await execute(server, statement)
