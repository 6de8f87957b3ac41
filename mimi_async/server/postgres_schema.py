"""The tables of the PostgreSQL book, column for column those of the SQLite book: a row of one is a row of the other.

There is no column that could name a person, and the constraints say so. An erased user keeps its row, as a tombstone,
so that a unique constraint keeps its create key from reviving it.

`ON CONFLICT` names no constraint here: of two insertions of one user at the same moment the loser may meet the digest
of the id before that of the create key, and with a target that would be an error.
"""

from typing import Final

from ..postgres import Schema, whole

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

_HEARING_TESTS = """
CREATE TABLE IF NOT EXISTS {schema}.hearing_tests (
    user_id bytea NOT NULL REFERENCES {schema}.users (user_id),
    test_id text COLLATE "C" NOT NULL CHECK (length(test_id) = 32 AND test_id ~ '^[0-9a-f]+$'),
    key_digest bytea NOT NULL CHECK (octet_length(key_digest) = 32),
    taken_at bigint NOT NULL,
    calibrated boolean NOT NULL,
    left_250 double precision NOT NULL CHECK (left_250 BETWEEN -10 AND 120),
    left_500 double precision NOT NULL CHECK (left_500 BETWEEN -10 AND 120),
    left_1000 double precision NOT NULL CHECK (left_1000 BETWEEN -10 AND 120),
    left_2000 double precision NOT NULL CHECK (left_2000 BETWEEN -10 AND 120),
    left_4000 double precision NOT NULL CHECK (left_4000 BETWEEN -10 AND 120),
    left_8000 double precision NOT NULL CHECK (left_8000 BETWEEN -10 AND 120),
    right_250 double precision NOT NULL CHECK (right_250 BETWEEN -10 AND 120),
    right_500 double precision NOT NULL CHECK (right_500 BETWEEN -10 AND 120),
    right_1000 double precision NOT NULL CHECK (right_1000 BETWEEN -10 AND 120),
    right_2000 double precision NOT NULL CHECK (right_2000 BETWEEN -10 AND 120),
    right_4000 double precision NOT NULL CHECK (right_4000 BETWEEN -10 AND 120),
    right_8000 double precision NOT NULL CHECK (right_8000 BETWEEN -10 AND 120),
    PRIMARY KEY (user_id, key_digest),
    UNIQUE (user_id, taken_at, test_id)
)"""

SCHEMA: Final = Schema(
    name="mimi_server",
    purpose="user database",
    version=1,
    statements=(_CLIENTS, _KEY_CHECKS, _USERS, _HEARING_TESTS),
    remedy="the server makes them when it starts",
)

_WHOLE: Final = whole("mimi_server.clients", "mimi_server.users", "mimi_server.hearing_tests")

PING: Final = "SELECT 1 FROM mimi_server.clients LIMIT 1"

CHECK_VALUES: Final = "SELECT name, value FROM mimi_server.key_checks"
KEEP_CHECK_VALUES: Final = """
INSERT INTO mimi_server.key_checks SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING name, value"""
"""Written or not, the values that are kept now; the first of two that come at the same time."""

CLIENTS: Final = "SELECT client_id FROM mimi_server.clients ORDER BY client_id"
LOCK_CLIENTS: Final = "LOCK TABLE mimi_server.clients IN SHARE ROW EXCLUSIVE MODE"
"""One after another, who changes the clients: no constraint says "mimi-dev only where there is nobody else"."""
ADD_FIRST_CLIENT: Final = """
INSERT INTO mimi_server.clients SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM mimi_server.clients)
RETURNING client_id"""
ADD_CLIENT: Final = "INSERT INTO mimi_server.clients VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
IS_CLIENT: Final = f"SELECT secret_digest = $2 FROM mimi_server.clients WHERE {_WHOLE} AND client_id = $1"  # noqa: S608 - the same
REMOVE_CLIENT: Final = "DELETE FROM mimi_server.clients WHERE client_id = $1"

_TEST_COLUMNS = """t.test_id, t.taken_at, t.calibrated,
    t.left_250, t.left_500, t.left_1000, t.left_2000, t.left_4000, t.left_8000,
    t.right_250, t.right_500, t.right_1000, t.right_2000, t.right_4000, t.right_8000"""
_COLUMNS = f"u.user_id, u.created_at, u.year_of_birth, u.sex, {_TEST_COLUMNS}"
_LATEST_TEST = """
LEFT JOIN LATERAL (
    SELECT * FROM mimi_server.hearing_tests WHERE user_id = u.user_id ORDER BY taken_at DESC, test_id DESC LIMIT 1
) t ON true"""

_MEETING = f"""
SELECT c.partner, u.id_digest IS NOT NULL, {_COLUMNS}
FROM mimi_server.clients c LEFT JOIN mimi_server.users u ON u.partner = c.partner AND {{}} = $3 {_LATEST_TEST}
WHERE {_WHOLE} AND c.client_id = $1 AND c.secret_digest = $2"""  # noqa: S608 - the columns are written above
BY_CREATION: Final = _MEETING.format("u.create_digest")
BY_ID: Final = _MEETING.format("u.id_digest")
"""No row for a client that is not known; else its partner, whether there is such a user, and the user."""

MAKE_USER: Final = """
INSERT INTO mimi_server.users (partner, create_digest, id_digest, user_id, created_at)
SELECT $3, $4, $5, $6, $7 FROM mimi_server.clients WHERE client_id = $1 AND secret_digest = $2 AND partner = $3
ON CONFLICT DO NOTHING RETURNING user_id"""

USER: Final = f"SELECT {_COLUMNS} FROM mimi_server.users u {_LATEST_TEST} WHERE {_WHOLE} AND u.user_id = $1"  # noqa: S608 - the same

CHANGE: Final = f"""
WITH u AS (
    UPDATE mimi_server.users SET
        year_of_birth = CASE WHEN $2::boolean THEN $3::integer ELSE year_of_birth END,
        sex = CASE WHEN $4::boolean THEN $5::text ELSE sex END
    WHERE user_id = $1 RETURNING *)
SELECT {_COLUMNS} FROM u {_LATEST_TEST}"""  # noqa: S608 - the same

LOCK_USER: Final = "SELECT user_id FROM mimi_server.users WHERE user_id = $1 FOR UPDATE"
ERASE_TESTS: Final = "DELETE FROM mimi_server.hearing_tests WHERE user_id = $1"
ERASE_USER: Final = """
UPDATE mimi_server.users SET user_id = NULL, created_at = NULL, year_of_birth = NULL, sex = NULL WHERE user_id = $1"""

EXPORT: Final = f"""
SELECT {_COLUMNS} FROM mimi_server.users u LEFT JOIN mimi_server.hearing_tests t ON t.user_id = u.user_id
WHERE {_WHOLE} AND u.user_id = $1 ORDER BY t.taken_at DESC, t.test_id DESC"""  # noqa: S608 - the same
"""The user once for each test, newest first: the first row is the one of `USER`."""

ADD_TEST: Final = """
INSERT INTO mimi_server.hearing_tests
SELECT user_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
FROM mimi_server.users WHERE user_id = $1 FOR KEY SHARE
ON CONFLICT DO NOTHING RETURNING test_id"""
"""The lock waits for an erasure that is under way, and then finds nobody."""
TEST_BY_KEY: Final = f"""
SELECT {_TEST_COLUMNS} FROM mimi_server.hearing_tests t WHERE t.user_id = $1 AND t.key_digest = $2"""  # noqa: S608 - the same

PAGE: Final = f"""
SELECT place.test_id IS NOT NULL, {_TEST_COLUMNS}
FROM mimi_server.users u
LEFT JOIN mimi_server.hearing_tests place ON place.user_id = u.user_id AND place.test_id = $2
LEFT JOIN LATERAL (
    SELECT * FROM mimi_server.hearing_tests
    WHERE user_id = u.user_id AND ($2::text IS NULL OR (taken_at, test_id) < (place.taken_at, place.test_id))
    ORDER BY taken_at DESC, test_id DESC LIMIT $3
) t ON true
WHERE {_WHOLE} AND u.user_id = $1 ORDER BY t.taken_at DESC, t.test_id DESC"""  # noqa: S608 - the same
"""No row for nobody; else whether the cursor is a test of this user, and the tests behind it, or one row of NULLs."""
