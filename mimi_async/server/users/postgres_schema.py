"""The PostgreSQL tables of the users: the same columns as in SQLite, so that both share the conversion of rows.

No column can name a person, and the constraints ensure it. An erased user keeps its row, as a tombstone, so that a
unique constraint prevents its create key from creating it again.

`ON CONFLICT` names no constraint here: of two insertions of one user at the same time the second may violate the
constraint on the id digest before that on the create digest, and with a conflict target that would be an error.
"""

from typing import Final

from ...databases.postgres import Schema, Statement, prove, require_all_rows
from .rows import COLUMNS, LEVELS, TEST_COLUMNS

_CLIENTS = """
CREATE TABLE IF NOT EXISTS {schema}.clients (
    client_id text COLLATE "C" NOT NULL PRIMARY KEY
        CHECK (length(client_id) <= 64 AND client_id ~ '^[a-z0-9._-]+$'),
    partner text COLLATE "C" NOT NULL CHECK (length(partner) <= 64 AND partner ~ '^[a-z0-9._-]+$'),
    secret_digest bytea NOT NULL CHECK (octet_length(secret_digest) = 32)
)"""

_KEY_CHECKS = """
CREATE TABLE IF NOT EXISTS {schema}.key_checks (
    name text COLLATE "C" NOT NULL PRIMARY KEY CHECK (name IN ('id_key', 'pepper')),
    value bytea NOT NULL CHECK (octet_length(value) = 32)
)"""

_USERS = """
CREATE TABLE IF NOT EXISTS {schema}.users (
    partner text COLLATE "C" NOT NULL CHECK (length(partner) <= 64 AND partner ~ '^[a-z0-9._-]+$'),
    create_digest bytea NOT NULL CHECK (octet_length(create_digest) = 32),
    id_digest bytea NOT NULL UNIQUE CHECK (octet_length(id_digest) = 32),
    user_id bytea UNIQUE CHECK (octet_length(user_id) = 16),
    created_at bigint,
    year_of_birth integer CHECK (year_of_birth BETWEEN 1900 AND 2200),
    sex text COLLATE "C" CHECK (sex IN ('female', 'male', 'intersex')),
    PRIMARY KEY (create_digest, partner),
    CONSTRAINT erasure_leaves_digests_alone CHECK (
        (user_id IS NULL) = (created_at IS NULL)
        AND (user_id IS NOT NULL OR (year_of_birth IS NULL AND sex IS NULL))
    )
)"""

_LEVELS = ",\n    ".join(f"{name} double precision NOT NULL CHECK ({name} BETWEEN -10 AND 120)" for name in LEVELS)

_HEARING_TESTS = (
    """
CREATE TABLE IF NOT EXISTS {schema}.hearing_tests (
    user_id bytea NOT NULL REFERENCES {schema}.users (user_id),
    test_id text COLLATE "C" NOT NULL CHECK (length(test_id) = 32 AND test_id ~ '^[0-9a-f]+$'),
    key_digest bytea NOT NULL CHECK (octet_length(key_digest) = 32),
    taken_at bigint NOT NULL,
    calibrated boolean NOT NULL,
    """
    + _LEVELS
    + """,
    received bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    PRIMARY KEY (user_id, key_digest),
    UNIQUE (user_id, received)
)"""
)
"""`received` orders the tests of a user: microseconds since the epoch by the server's clock, always increasing. The
default is for a server of version 1 that still runs while another server is updated."""

_ORDER_BY_RECEIPT: Final = (
    "ALTER TABLE {schema}.hearing_tests ADD COLUMN received bigint",
    """
UPDATE {schema}.hearing_tests AS test SET received = place.number FROM (
    SELECT user_id, key_digest, row_number() OVER (PARTITION BY user_id ORDER BY taken_at, test_id) AS number
    FROM {schema}.hearing_tests) AS place
WHERE test.user_id = place.user_id AND test.key_digest = place.key_digest""",
    """
ALTER TABLE {schema}.hearing_tests
    ALTER COLUMN received SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    ALTER COLUMN received SET NOT NULL,
    ADD UNIQUE (user_id, received),
    DROP CONSTRAINT hearing_tests_user_id_taken_at_test_id_key""",
)
"""Version 1 did not store the time of receipt: its order is kept, before all later tests."""

SCHEMA: Final = Schema(
    name="mimi_server",
    purpose="user database",
    version=2,
    statements=(_CLIENTS, _KEY_CHECKS, _USERS, _HEARING_TESTS),
    migrations={1: _ORDER_BY_RECEIPT},
    remedy="the server creates them when it starts",
)

_ALL_ROWS: Final = require_all_rows("mimi_server.clients", "mimi_server.users", "mimi_server.hearing_tests")


def _read(verb: str, query: str, order: str = "") -> Statement:
    """Return a statement that reads users or clients, and fails where rows may be missing."""
    return prove(verb, query, condition=_ALL_ROWS, order=order)


def _write(verb: str, statement: str) -> Statement:
    """Return a statement that writes or locks, and returns what its own RETURNING or SELECT returns."""
    return prove(verb, "SELECT * FROM written", steps=f"WITH written AS ({statement})")


PING: Final = prove("ping", "SELECT 1 FROM mimi_server.clients LIMIT 1")

CHECK_VALUES: Final = prove("check_values", "SELECT name, value FROM mimi_server.key_checks")
KEEP_CHECK_VALUES: Final = _write(
    "keep_check_values",
    """
INSERT INTO mimi_server.key_checks SELECT * FROM unnest($2::text[], $3::bytea[])
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING name, value""",
)
"""Returns the values that are stored now, whether this statement wrote them or another one did before."""

CLIENTS: Final = prove("clients", "SELECT client_id FROM mimi_server.clients", order="ORDER BY client_id")
LOCK_CLIENTS: Final = "LOCK TABLE mimi_server.clients IN SHARE ROW EXCLUSIVE MODE"
"""Serializes changes of the clients: no constraint can express "mimi-dev only without another client"."""
ADD_FIRST_CLIENT: Final = _write(
    "add_first_client",
    """
INSERT INTO mimi_server.clients SELECT $2, $3, $4 WHERE NOT EXISTS (SELECT FROM mimi_server.clients)
RETURNING client_id""",
)
ADD_CLIENT: Final = _write(
    "add_client", "INSERT INTO mimi_server.clients SELECT $2, $3, $4 ON CONFLICT DO NOTHING RETURNING client_id"
)
IS_CLIENT: Final = _read("is_client", "SELECT secret_digest = $3 FROM mimi_server.clients WHERE client_id = $2")
REMOVE_CLIENT: Final = _write(
    "remove_client", "DELETE FROM mimi_server.clients WHERE client_id = $2 RETURNING client_id"
)

_LATEST_TEST = """
LEFT JOIN LATERAL (
    SELECT * FROM mimi_server.hearing_tests WHERE user_id = u.user_id ORDER BY received DESC LIMIT 1
) t ON true"""

_FIND_USER = f"""
SELECT c.partner, u.id_digest IS NOT NULL, {COLUMNS}
FROM mimi_server.clients c LEFT JOIN mimi_server.users u ON u.partner = c.partner AND {{}} = $4 {_LATEST_TEST}
WHERE c.client_id = $2 AND c.secret_digest = $3"""  # noqa: S608 - the columns are those of `rows`
BY_CREATION: Final = _read("by_creation", _FIND_USER.format("u.create_digest"))
BY_ID: Final = _read("by_id", _FIND_USER.format("u.id_digest"))
"""Returns no row for an unknown client; else its partner, whether the user exists, and the user."""

MAKE_USER: Final = _write(
    "make_user",
    """
INSERT INTO mimi_server.users (partner, create_digest, id_digest, user_id, created_at)
SELECT $4, $5, $6, $7, $8 FROM mimi_server.clients WHERE client_id = $2 AND secret_digest = $3 AND partner = $4
ON CONFLICT DO NOTHING RETURNING user_id""",
)

USER: Final = _read("user", f"SELECT {COLUMNS} FROM mimi_server.users u {_LATEST_TEST} WHERE u.user_id = $2")  # noqa: S608 - the same

CHANGE: Final = prove(
    "change",
    f"SELECT {COLUMNS} FROM u {_LATEST_TEST}",  # noqa: S608 - the same
    steps="""
WITH u AS (
    UPDATE mimi_server.users SET
        year_of_birth = CASE WHEN $3::boolean THEN $4::integer ELSE year_of_birth END,
        sex = CASE WHEN $5::boolean THEN $6::text ELSE sex END
    WHERE user_id = $2 RETURNING *)""",
)

LOCK_PROFILE: Final = _write(
    "lock_profile", "SELECT user_id FROM mimi_server.users WHERE user_id = $2 FOR NO KEY UPDATE"
)
"""Serializes changes of what a client reads of a user: the next statement sees what was committed before. It waits for
an erasure in flight, and then finds no row."""
LOCK_USER: Final = _write("lock_user", "SELECT user_id FROM mimi_server.users WHERE user_id = $2 FOR UPDATE")
ERASE_TESTS: Final = _write("erase_tests", "DELETE FROM mimi_server.hearing_tests WHERE user_id = $2 RETURNING test_id")
ERASE_USER: Final = _write(
    "erase_user",
    """
UPDATE mimi_server.users SET user_id = NULL, created_at = NULL, year_of_birth = NULL, sex = NULL
WHERE user_id = $2 RETURNING id_digest""",
)

EXPORT: Final = _read(
    "export",
    f"""
SELECT {COLUMNS} FROM mimi_server.users u LEFT JOIN mimi_server.hearing_tests t ON t.user_id = u.user_id
WHERE u.user_id = $2""",  # noqa: S608 - the same
    "ORDER BY received DESC",
)
"""Returns the user once for each test, newest first."""

ADD_TEST: Final = _write(
    "add_test",
    """
INSERT INTO mimi_server.hearing_tests
SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
    greatest($19::bigint, (SELECT max(received) + 1 FROM mimi_server.hearing_tests WHERE user_id = $2))
ON CONFLICT DO NOTHING RETURNING test_id""",
)
"""After `LOCK_PROFILE`, so that two tests do not get the same `received`."""
TEST_BY_KEY: Final = prove(
    "test_by_key",
    f"SELECT {TEST_COLUMNS} FROM mimi_server.hearing_tests t WHERE t.user_id = $2 AND t.key_digest = $3",  # noqa: S608 - the same
)
LAST_RECEIVED: Final = prove("last_received", "SELECT max(received) FROM mimi_server.hearing_tests WHERE user_id = $2")
DELETE_TEST: Final = _write(
    "delete_test", "DELETE FROM mimi_server.hearing_tests WHERE user_id = $2 AND test_id = $3 RETURNING test_id"
)

PAGE: Final = _read(
    "page",
    f"""
SELECT {TEST_COLUMNS}
FROM mimi_server.users u
LEFT JOIN LATERAL (
    SELECT * FROM mimi_server.hearing_tests WHERE user_id = u.user_id AND received < $3 ORDER BY received DESC LIMIT $4
) t ON true
WHERE u.user_id = $2""",  # noqa: S608 - the same
    "ORDER BY received DESC",
)
"""Returns no row for an unknown user; else the tests received before the cursor, or one row of NULLs."""
