"""The tables, and one statement for each verb: it returns the row that is stored after it, or no row.

The statements are correct at every isolation level. READ COMMITTED, the default, is the weakest: a statement sees what
was committed when it began, but changes the newest version of a row, for which it waits if necessary.
"""

import hashlib
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ...databases.postgres import Schema, Statement, is_verb, prove, require_all_rows
from ...errors import StoreCorruptError
from ..base import StoredIdentity
from ..rows import read_row

# No constraint but the key: where a constraint is violated, PostgreSQL quotes the whole row, with its secret, in its
# answer and in its log.
_TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS {schema}.identities (
    account text COLLATE "C" PRIMARY KEY,
    state text, secret text, user_id text, revision bytea, changed_at double precision, digest bytea
)""",
    """
CREATE TABLE IF NOT EXISTS {schema}.quarantine (
    account text COLLATE "C",
    state text, secret text, user_id text, revision bytea, changed_at double precision, digest bytea,
    quarantined_at double precision
)""",
)

# The notification of a change: a digest of the account, the old revision if there was one, and the new one unless the
# row was deleted. A change by hand sends it, too, unless the revision stays; a new pending record does not. A TRUNCATE
# sends a text without a digest: any record may have changed.
_TRIGGERS: Final = (
    """
CREATE OR REPLACE FUNCTION {schema}.notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('{schema}', pg_catalog.concat_ws(' ',
        pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(
            pg_catalog.convert_to(COALESCE(NEW.account, OLD.account), 'UTF8')), 'hex'), 1, 32),
        pg_catalog.substr(pg_catalog.encode(COALESCE(OLD.revision, ''), 'hex'), 1, 32),
        CASE WHEN TG_OP <> 'DELETE' THEN
            pg_catalog.substr(pg_catalog.encode(COALESCE(NEW.revision, ''), 'hex'), 1, 64) END));
    RETURN NULL;
END $$""",
    """
CREATE OR REPLACE FUNCTION {schema}.notify_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('{schema}', 'all');
    RETURN NULL;
END $$""",
    """
CREATE OR REPLACE TRIGGER notify_truncation AFTER TRUNCATE ON {schema}.identities FOR EACH STATEMENT
EXECUTE FUNCTION {schema}.notify_truncation()""",
    """
CREATE OR REPLACE TRIGGER notify_insert AFTER INSERT ON {schema}.identities FOR EACH ROW
WHEN (NEW.state IS DISTINCT FROM 'pending') EXECUTE FUNCTION {schema}.notify_change()""",
    """
CREATE OR REPLACE TRIGGER notify_update AFTER UPDATE ON {schema}.identities FOR EACH ROW
WHEN (OLD.revision IS DISTINCT FROM NEW.revision) EXECUTE FUNCTION {schema}.notify_change()""",
    """
CREATE OR REPLACE TRIGGER notify_delete AFTER DELETE ON {schema}.identities FOR EACH ROW
EXECUTE FUNCTION {schema}.notify_change()""",
)

_NAMES: Final = ("state", "secret", "user_id", "revision", "changed_at", "digest")
_COLUMNS: Final = ", ".join(_NAMES)

# Texts are read as bytes: a failing disk may leave bytes that are not UTF-8, on which the driver fails.
_ROW: Final = "textsend(state), textsend(secret), textsend(user_id), revision, changed_at, digest, textsend(account)"

# The second half computes `_digest`: a damaged record with the expected revision is kept as well.
_IS_EXPECTED: Final = r"""revision = $3 AND digest = sha256(
textsend(account) || '\x00' || textsend(state) || '\x00' || textsend(secret) || '\x00'
|| COALESCE('\x3d' || textsend(user_id), '') || '\x00' || revision || float8send(changed_at))"""

_IS_THAT_DAMAGE: Final = """(textsend(state), textsend(secret), textsend(user_id), revision, changed_at, digest)
IS NOT DISTINCT FROM ($3::bytea, $4::bytea, $5::bytea, $6::bytea, $7::double precision, $8::bytea)"""

_ALL_ROWS: Final = require_all_rows("{schema}.identities")

_LOAD: Final = f"SELECT {_ROW} FROM {{schema}}.identities WHERE account = $2"  # noqa: S608 - ours, as all of them

# An update that changes nothing: it returns the row of the winner to the loser of a race, which may not see it yet.
_CLAIM: Final = f"""
INSERT INTO {{schema}}.identities (account, {_COLUMNS}) SELECT $2, $3, $4, $5, $6, $7, $8 WHERE {is_verb("claim")}
ON CONFLICT (account) DO UPDATE SET account = excluded.account RETURNING 'claim', true, {_ROW}"""

# The row is written in any case, unchanged or new. Where another transaction wrote to it, the newest version counts.
_CHOICES: Final = ", ".join(
    f"{name} = CASE WHEN {_IS_EXPECTED} THEN ${number} ELSE {name} END" for number, name in enumerate(_NAMES, start=4)
)
_REPLACING: Final = f"WITH kept AS (UPDATE {{schema}}.identities SET {_CHOICES} WHERE account = $2 RETURNING *)"  # noqa: S608
_REPLACED: Final = f"SELECT {_ROW} FROM kept"  # noqa: S608

# `found` waits for other writers of the row, and locks its newest version, which is compared and deleted. Where another
# transaction deleted it, and perhaps claimed it again, there was no row for a moment: that is the answer.
_TAKING: Final = """
WITH found AS (SELECT * FROM {{schema}}.identities WHERE account = $2 FOR UPDATE),
matched AS (SELECT account FROM found WHERE {condition}),
gone AS (
    DELETE FROM {{schema}}.identities AS kept USING matched WHERE kept.account = matched.account RETURNING kept.*)"""
_TAKEN: Final = f"SELECT {_ROW} FROM found WHERE NOT EXISTS (SELECT FROM gone)"  # noqa: S608
_QUARANTINE: Final = """,
moved AS (INSERT INTO {schema}.quarantine SELECT *, extract(epoch FROM clock_timestamp()) FROM gone)"""
_FORGETTING: Final = _TAKING.format(condition=_IS_EXPECTED)
_MOVING_DAMAGE: Final = _TAKING.format(condition=_IS_THAT_DAMAGE) + _QUARANTINE

_PAGE: Final = """
SELECT textsend(account) AS name FROM {schema}.identities WHERE account > $2 ORDER BY account LIMIT $3"""


class Statements:
    """The statements for the tables in one schema. $2 is the account; the expected revision and the values follow."""

    def __init__(self, schema: str) -> None:
        def make(verb: str, query: str, steps: str = "", order: str = "") -> Statement:
            parts = {"query": query, "steps": steps, "condition": _ALL_ROWS}
            return prove(verb, **{name: part.format(schema=schema) for name, part in parts.items()}, order=order)

        self.load: Statement = make("load", _LOAD)
        self.claim: Statement = Statement("claim", _CLAIM.format(schema=schema))
        self.replace: Statement = make("replace", _REPLACED, _REPLACING)
        self.forget: Statement = make("forget", _TAKEN, _FORGETTING)
        self.quarantine: Statement = make("quarantine", _TAKEN, _FORGETTING + _QUARANTINE)
        self.move_damage: Statement = make("move_damage", _TAKEN, _MOVING_DAMAGE)
        self.accounts: Statement = make("accounts", _PAGE, order="ORDER BY name")


def make_schema(name: str) -> Schema:
    """Return the tables in a schema of that name."""
    remedy = "`mimi-async store init` creates them, or the statements of PostgresStore.script()"
    return Schema(name, "identity store", 1, (*_TABLES, *_TRIGGERS), remedy)


def values_of(account: str, record: StoredIdentity) -> tuple[object, ...]:
    """Return the parameters that write a record, after the account."""
    values = (record.state, record.secret.reveal(), record.user_id, record.revision, record.changed_at)
    return (*values, _digest(_encode((account, *values[:3])), record.revision, record.changed_at))


def read_found(account: str, row: Sequence[object] | None) -> StoredIdentity | StoreCorruptError | None:
    """Return the record of a row, the error to raise, or None for no row."""
    if row is None:
        return None
    if _is_intact(account, row):
        with suppress(UnicodeDecodeError):
            return read_row([*_decode(row[:3]), *row[3:]], is_intact=True)
    return read_row(row, is_intact=False)


def _is_intact(account: str, row: Sequence[object]) -> bool:
    *texts, revision, changed_at, digest, name = row
    if name != account.encode() or not isinstance(revision, bytes) or not isinstance(changed_at, float):
        return False
    return digest == _digest([name, *texts], revision, changed_at)


def _digest(texts: Sequence[object], revision: bytes, changed_at: float) -> bytes | None:
    """Return a digest of a record: it differs after a failing disk altered the record, and for another account."""
    account, state, secret, user_id = texts
    if not (isinstance(account, bytes) and isinstance(state, bytes) and isinstance(secret, bytes)):
        return None
    known = b"=" + user_id if isinstance(user_id, bytes) else b""
    return hashlib.sha256(
        b"\0".join((account, state, secret, known, revision)) + struct.pack(">d", changed_at)
    ).digest()


def _encode(texts: Sequence[object]) -> Sequence[bytes | None]:
    return [text.encode() if isinstance(text, str) else None for text in texts]


def _decode(texts: Sequence[object]) -> Sequence[str | None]:
    return [text.decode() if isinstance(text, bytes) else None for text in texts]
