"""The tables of the SQLite book. There is no column that could name a person, and the constraints say so.

An erased user keeps its row, as a tombstone: its digests stay, so that a unique constraint, and not a question asked
before the write, keeps its create key from reviving it. All that was personal hung on the user id, which is gone.
"""

from typing import Final

from ..sqlite import Schema

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

_HEARING_TESTS = """
CREATE TABLE hearing_tests (
    user_id BLOB NOT NULL REFERENCES users (user_id),
    test_id TEXT NOT NULL CHECK (length(test_id) = 32 AND test_id NOT GLOB '*[^0-9a-f]*'),
    key_digest BLOB NOT NULL,
    taken_at INTEGER NOT NULL,
    calibrated INTEGER NOT NULL CHECK (calibrated IN (0, 1)),
    left_250 REAL NOT NULL CHECK (left_250 BETWEEN -10 AND 120),
    left_500 REAL NOT NULL CHECK (left_500 BETWEEN -10 AND 120),
    left_1000 REAL NOT NULL CHECK (left_1000 BETWEEN -10 AND 120),
    left_2000 REAL NOT NULL CHECK (left_2000 BETWEEN -10 AND 120),
    left_4000 REAL NOT NULL CHECK (left_4000 BETWEEN -10 AND 120),
    left_8000 REAL NOT NULL CHECK (left_8000 BETWEEN -10 AND 120),
    right_250 REAL NOT NULL CHECK (right_250 BETWEEN -10 AND 120),
    right_500 REAL NOT NULL CHECK (right_500 BETWEEN -10 AND 120),
    right_1000 REAL NOT NULL CHECK (right_1000 BETWEEN -10 AND 120),
    right_2000 REAL NOT NULL CHECK (right_2000 BETWEEN -10 AND 120),
    right_4000 REAL NOT NULL CHECK (right_4000 BETWEEN -10 AND 120),
    right_8000 REAL NOT NULL CHECK (right_8000 BETWEEN -10 AND 120),
    PRIMARY KEY (user_id, key_digest),
    UNIQUE (user_id, taken_at, test_id)
) STRICT, WITHOUT ROWID
"""

SCHEMA: Final = Schema(
    purpose="user database",
    application_id=0x4D494D55,  # "MIMU"
    version=1,
    statements=(_CLIENTS, _KEY_CHECKS, _USERS, _HEARING_TESTS),
)

_TEST_COLUMNS = """t.test_id, t.taken_at, t.calibrated,
    t.left_250, t.left_500, t.left_1000, t.left_2000, t.left_4000, t.left_8000,
    t.right_250, t.right_500, t.right_1000, t.right_2000, t.right_4000, t.right_8000"""

_USER = f"""
SELECT u.user_id, u.created_at, u.year_of_birth, u.sex, {_TEST_COLUMNS}
FROM users u LEFT JOIN hearing_tests t ON t.user_id = u.user_id AND (t.taken_at, t.test_id) = (
    SELECT taken_at, test_id FROM hearing_tests WHERE user_id = u.user_id ORDER BY taken_at DESC, test_id DESC LIMIT 1)
"""  # noqa: S608 - the columns are written above

PARTNER_OF: Final = "SELECT partner, secret_digest FROM clients WHERE client_id = ?"

MAKE_USER: Final = """
INSERT INTO users (partner, create_digest, id_digest, user_id, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (create_digest, partner) DO NOTHING"""

USER_BY_CREATION: Final = _USER + "WHERE u.create_digest = ? AND u.partner = ?"
USER_BY_ID: Final = _USER + "WHERE u.id_digest = ? AND u.partner = ?"
USER: Final = _USER + "WHERE u.user_id = ?"

IS_USER: Final = "SELECT 1 FROM users WHERE user_id = ?"

UPDATES: Final = {
    "year_of_birth": "UPDATE users SET year_of_birth = ? WHERE user_id = ?",
    "sex": "UPDATE users SET sex = ? WHERE user_id = ?",
}
"""How a column is set that a user may change."""

ERASE_TESTS: Final = "DELETE FROM hearing_tests WHERE user_id = ?"
ERASE_USER: Final = """
UPDATE users SET user_id = NULL, created_at = NULL, year_of_birth = NULL, sex = NULL WHERE user_id = ?"""

_TESTS = f"SELECT {_TEST_COLUMNS} FROM hearing_tests t WHERE t.user_id = ? "  # noqa: S608 - the same

ADD_TEST: Final = """
INSERT INTO hearing_tests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, key_digest) DO NOTHING"""
TEST_BY_KEY: Final = _TESTS + "AND t.key_digest = ?"
ALL_TESTS: Final = _TESTS + "ORDER BY t.taken_at DESC, t.test_id DESC"
TAKEN_AT: Final = "SELECT taken_at FROM hearing_tests WHERE user_id = ? AND test_id = ?"
TESTS_PAGE: Final = _TESTS + "ORDER BY t.taken_at DESC, t.test_id DESC LIMIT ?"
NEXT_TESTS_PAGE: Final = (
    _TESTS + "AND (t.taken_at, t.test_id) < (?, ?) ORDER BY t.taken_at DESC, t.test_id DESC LIMIT ?"
)
