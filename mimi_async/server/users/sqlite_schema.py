"""The SQLite tables of the users. No column can name a person, and the constraints ensure it.

An erased user keeps its row, as a tombstone: its digests stay, so that a unique constraint prevents its create key
from creating it again. All personal data belonged to the user id, which is deleted.
"""

from typing import Final

from ...databases.sqlite import Schema
from .rows import COLUMNS, LEVELS, TEST_COLUMNS

_CLIENTS = """
CREATE TABLE clients (
    client_id TEXT NOT NULL PRIMARY KEY
        CHECK (length(client_id) <= 64 AND client_id NOT GLOB '*[^a-z0-9._-]*'),
    partner TEXT NOT NULL CHECK (length(partner) <= 64 AND partner NOT GLOB '*[^a-z0-9._-]*'),
    secret_digest BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""

_KEY_CHECKS = """
CREATE TABLE key_checks (
    name TEXT NOT NULL PRIMARY KEY CHECK (name IN ('id_key', 'pepper')),
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""

_USERS = """
CREATE TABLE users (
    partner TEXT NOT NULL CHECK (length(partner) <= 64 AND partner NOT GLOB '*[^a-z0-9._-]*'),
    create_digest BLOB NOT NULL,
    id_digest BLOB NOT NULL UNIQUE,
    user_id BLOB UNIQUE CHECK (length(user_id) = 16),
    created_at INTEGER,
    year_of_birth INTEGER CHECK (year_of_birth BETWEEN 1900 AND 2200),
    sex TEXT CHECK (sex IN ('female', 'male', 'intersex')),
    UNIQUE (create_digest, partner),
    CONSTRAINT erasure_leaves_digests_alone CHECK (
        (user_id IS NULL) = (created_at IS NULL)
        AND (user_id IS NOT NULL OR (year_of_birth IS NULL AND sex IS NULL))
    )
) STRICT
"""

_LEVELS = ",\n    ".join(f"{name} REAL NOT NULL CHECK ({name} BETWEEN -10 AND 120)" for name in LEVELS)

_HEARING_TESTS = (
    """
CREATE TABLE hearing_tests (
    user_id BLOB NOT NULL REFERENCES users (user_id),
    test_id TEXT NOT NULL CHECK (length(test_id) = 32 AND test_id NOT GLOB '*[^0-9a-f]*'),
    key_digest BLOB NOT NULL,
    taken_at INTEGER NOT NULL,
    calibrated INTEGER NOT NULL CHECK (calibrated IN (0, 1)),
    """
    + _LEVELS
    + """,
    received INTEGER NOT NULL,
    PRIMARY KEY (user_id, key_digest),
    UNIQUE (user_id, received)
) STRICT, WITHOUT ROWID
"""
)
"""`received` orders the tests of a user: microseconds since the epoch by the server's clock, always increasing."""

_ORDER_BY_RECEIPT: Final = (
    "ALTER TABLE hearing_tests RENAME TO hearing_tests_1",
    _HEARING_TESTS,
    """
INSERT INTO hearing_tests SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY taken_at, test_id)
FROM hearing_tests_1""",
    "DROP TABLE hearing_tests_1",
)
"""Version 1 did not store the time of receipt: its order is kept, before all later tests."""

SCHEMA: Final = Schema(
    purpose="user database",
    companions=(".keys",),
    application_id=0x4D494D55,  # "MIMU"
    version=2,
    statements=(_CLIENTS, _KEY_CHECKS, _USERS, _HEARING_TESTS),
    migrations={1: _ORDER_BY_RECEIPT},
)

_LATEST_TEST = """LEFT JOIN hearing_tests t ON t.user_id = u.user_id AND t.received = (
    SELECT max(received) FROM hearing_tests WHERE user_id = u.user_id)"""

_FIND_USER = f"""
SELECT c.partner, u.id_digest IS NOT NULL, {COLUMNS}
FROM clients c LEFT JOIN users u ON u.partner = c.partner AND {{}} = ? {_LATEST_TEST}
WHERE c.client_id = ? AND c.secret_digest = ?"""  # noqa: S608 - the columns are those of `rows`
BY_CREATION: Final = _FIND_USER.format("u.create_digest")
BY_ID: Final = _FIND_USER.format("u.id_digest")
"""Returns no row for an unknown client; else its partner, whether the user exists, and the user."""

PARTNER: Final = "SELECT partner FROM clients WHERE client_id = ? AND secret_digest = ?"
MAKE_USER: Final = """
INSERT INTO users (partner, create_digest, id_digest, user_id, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (create_digest, partner) DO NOTHING"""

USER: Final = f"SELECT {COLUMNS} FROM users u {_LATEST_TEST} WHERE u.user_id = ?"  # noqa: S608 - the same
IS_USER: Final = "SELECT 1 FROM users WHERE user_id = ?"

UPDATES: Final = {
    "year_of_birth": "UPDATE users SET year_of_birth = ? WHERE user_id = ?",
    "sex": "UPDATE users SET sex = ? WHERE user_id = ?",
}
"""A column that a user may change → the statement that sets it."""

ERASE_TESTS: Final = "DELETE FROM hearing_tests WHERE user_id = ?"
ERASE_USER: Final = """
UPDATE users SET user_id = NULL, created_at = NULL, year_of_birth = NULL, sex = NULL WHERE user_id = ?"""

ADD_TEST: Final = """
INSERT INTO hearing_tests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    max(?, coalesce((SELECT max(received) + 1 FROM hearing_tests WHERE user_id = ?), 0)))
ON CONFLICT (user_id, key_digest) DO NOTHING"""
TEST_BY_KEY: Final = f"SELECT {TEST_COLUMNS} FROM hearing_tests t WHERE t.user_id = ? AND t.key_digest = ?"  # noqa: S608 - the same
LAST_RECEIVED: Final = "SELECT max(received) FROM hearing_tests WHERE user_id = ?"
DELETE_TEST: Final = "DELETE FROM hearing_tests WHERE user_id = ? AND test_id = ?"

EXPORT: Final = f"""
SELECT {COLUMNS} FROM users u LEFT JOIN hearing_tests t ON t.user_id = u.user_id
WHERE u.user_id = ? ORDER BY t.received DESC"""  # noqa: S608 - the same
"""Returns the user once for each test, newest first."""
PAGE: Final = f"""
SELECT {TEST_COLUMNS} FROM users u LEFT JOIN hearing_tests t ON t.user_id = u.user_id AND t.received < ?
WHERE u.user_id = ? ORDER BY t.received DESC LIMIT ?"""  # noqa: S608 - the same
"""Returns no row for an unknown user; else the tests received before the cursor, or one row of NULLs."""
