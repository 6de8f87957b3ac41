"""The tables, and one statement for each verb: it returns the row that is stored once its work is done, or none.

They are right at every isolation level. READ COMMITTED, the default, is the one to think about: a statement sees what
was committed when it began, but changes the newest version of a row, for which it waits if need be.
"""

import hashlib
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ...errors import StoreCorruptError
from ...postgres import Schema, whole
from ..base import StoredIdentity
from ..rows import read_row

# There is no constraint but the key: where one is broken, PostgreSQL quotes the whole row, the secret in it, in its
# answer and in its log.
_TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS {schema}.identities (
    account text COLLATE "C" PRIMARY KEY,
    state text, secret text, user_id text, revision bytea, changed_at double precision, digest bytea
)""",
    """
CREATE TABLE IF NOT EXISTS {schema}.set_aside (
    account text COLLATE "C",
    state text, secret text, user_id text, revision bytea, changed_at double precision, digest bytea,
    set_aside_at double precision
)""",
)

# What is told of a change: a digest of the account, the revision that is gone if there was one, and the new one unless
# it was deleted. What somebody changes by hand is told as well, save where the revision stays; that a creation begins
# concerns nobody yet. Of a TRUNCATE it is told that anything may have changed, by a message that names nobody.
_TRIGGERS: Final = (
    """
CREATE OR REPLACE FUNCTION {schema}.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION {schema}.tell_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('{schema}', 'all');
    RETURN NULL;
END $$""",
    """
CREATE OR REPLACE TRIGGER tell_truncation AFTER TRUNCATE ON {schema}.identities FOR EACH STATEMENT
EXECUTE FUNCTION {schema}.tell_truncation()""",
    """
CREATE OR REPLACE TRIGGER tell_arrival AFTER INSERT ON {schema}.identities FOR EACH ROW
WHEN (NEW.state IS DISTINCT FROM 'pending') EXECUTE FUNCTION {schema}.tell_change()""",
    """
CREATE OR REPLACE TRIGGER tell_replacement AFTER UPDATE ON {schema}.identities FOR EACH ROW
WHEN (OLD.revision IS DISTINCT FROM NEW.revision) EXECUTE FUNCTION {schema}.tell_change()""",
    """
CREATE OR REPLACE TRIGGER tell_deletion AFTER DELETE ON {schema}.identities FOR EACH ROW
EXECUTE FUNCTION {schema}.tell_change()""",
)

_NAMES: Final = ("state", "secret", "user_id", "revision", "changed_at", "digest")
_COLUMNS: Final = ", ".join(_NAMES)

# Texts travel as bytes: what a failing disk made of one may be no UTF-8, and that the driver does not survive.
_ROW: Final = "textsend(state), textsend(secret), textsend(user_id), revision, changed_at, digest, textsend(account)"

# The second half says what `_digest` says: a damaged record that has the expected revision is kept as well.
_IS_EXPECTED: Final = r"""revision = $2 AND digest = sha256(
textsend(account) || '\x00' || textsend(state) || '\x00' || textsend(secret) || '\x00'
|| COALESCE('\x3d' || textsend(user_id), '') || '\x00' || revision || float8send(changed_at))"""

_IS_THAT_DAMAGE: Final = """(textsend(state), textsend(secret), textsend(user_id), revision, changed_at, digest)
IS NOT DISTINCT FROM ($2::bytea, $3::bytea, $4::bytea, $5::bytea, $6::double precision, $7::bytea)"""

# Each reads `FROM one LEFT JOIN what is kept`, so that there is a row in any case: where PostgreSQL knows that there is
# none, as where row security hides all, it asks no condition. Whether anything is kept stands in the row's last column.
_WHOLE: Final = whole("{schema}.identities")
_FOUND: Final = f"SELECT {_ROW}, is_kept FROM (VALUES (1)) AS one"  # noqa: S608 - ours, as all of them

_LOAD: Final = f"""
{_FOUND} LEFT JOIN (SELECT *, true AS is_kept FROM {{schema}}.identities WHERE account = $1) AS kept ON true
WHERE {_WHOLE}"""  # noqa: S608

# An update that changes nothing: it gives the loser of a race the row of the winner, which it may not see yet.
_CLAIM: Final = f"""
INSERT INTO {{schema}}.identities (account, {_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (account) DO UPDATE SET account = excluded.account RETURNING {_ROW}, true"""  # noqa: S608

# The row is written in any case, as it is or anew. Where it was written to meanwhile, the newest version counts.
_CHOICES: Final = ", ".join(
    f"{name} = CASE WHEN {_IS_EXPECTED} THEN ${number} ELSE {name} END" for number, name in enumerate(_NAMES, start=3)
)
_REPLACE: Final = f"""
WITH kept AS (UPDATE {{schema}}.identities SET {_CHOICES} WHERE account = $1 RETURNING *, true AS is_kept)
{_FOUND} LEFT JOIN kept ON true WHERE {_WHOLE}"""  # noqa: S608

# `found` waits for whoever writes to the row, and locks its newest version: that is what is judged and deleted. Where
# it was deleted meanwhile, and perhaps claimed anew, there was nothing for a moment: that is the answer.
_TAKE: Final = f"""
WITH found AS (SELECT *, true AS is_kept FROM {{{{schema}}}}.identities WHERE account = $1 FOR UPDATE),
judged AS (SELECT account FROM found WHERE {{condition}}),
gone AS (DELETE FROM {{{{schema}}}}.identities AS kept USING judged WHERE kept.account = judged.account
RETURNING kept.*)
{{aside}}{_FOUND} LEFT JOIN found ON NOT EXISTS (SELECT FROM gone) WHERE {{whole}}"""  # noqa: S608
_ASIDE: Final = """, aside AS (INSERT INTO {schema}.set_aside
SELECT *, extract(epoch FROM clock_timestamp()) FROM gone)
"""
_FORGET: Final = _TAKE.format(condition=_IS_EXPECTED, aside="", whole=_WHOLE)
_SET_ASIDE: Final = _TAKE.format(condition=_IS_EXPECTED, aside=_ASIDE, whole=_WHOLE)
_MOVE_DAMAGE: Final = _TAKE.format(condition=_IS_THAT_DAMAGE, aside=_ASIDE, whole=_WHOLE)

_ACCOUNTS: Final = f"""
SELECT textsend(account) FROM (VALUES (1)) AS one LEFT JOIN
(SELECT account FROM {{schema}}.identities WHERE account > $1 ORDER BY account LIMIT $2) AS page ON true
WHERE {_WHOLE} ORDER BY account"""  # noqa: S608


class Statements:
    """The statements for the tables in one schema. $1 is the account; then comes the expected revision, then values."""

    def __init__(self, schema: str) -> None:
        self.load: str = _LOAD.format(schema=schema)
        self.claim: str = _CLAIM.format(schema=schema)
        self.replace: str = _REPLACE.format(schema=schema)
        self.forget: str = _FORGET.format(schema=schema)
        self.set_aside: str = _SET_ASIDE.format(schema=schema)
        self.move_damage: str = _MOVE_DAMAGE.format(schema=schema)
        self.accounts: str = _ACCOUNTS.format(schema=schema)


def schema_of(name: str) -> Schema:
    """Return the tables in a schema of that name."""
    remedy = "`mimi-async store init` makes them, or PostgresStore.script() says how"
    return Schema(name, "identity store", 1, (*_TABLES, *_TRIGGERS), remedy)


def values_of(account: str, record: StoredIdentity) -> tuple[object, ...]:
    """Return what a record is written as."""
    values = (record.state, record.secret.reveal(), record.user_id, record.revision, record.changed_at)
    return (*values, _digest(_encoded((account, *values[:3])), record.revision, record.changed_at))


def damage_of(row: Sequence[object]) -> Sequence[object]:
    """Return by what a damaged row is told from what others make of it meanwhile."""
    return row[:6]


def found_in(account: str, row: Sequence[object]) -> StoredIdentity | StoreCorruptError | None:
    """Return the record that a statement has found, what is to be raised, or None: there is none."""
    *record, is_kept = row
    if not is_kept:
        return None
    if _is_intact(account, record):
        with suppress(UnicodeDecodeError):
            return read_row([*_decoded(record[:3]), *record[3:]], is_intact=True)
    return read_row(record, is_intact=False)


def _is_intact(account: str, row: Sequence[object]) -> bool:
    *texts, revision, changed_at, digest, name = row
    if name != account.encode() or not isinstance(revision, bytes) or not isinstance(changed_at, float):
        return False
    return digest == _digest([name, *texts], revision, changed_at)


def _digest(texts: Sequence[object], revision: bytes, changed_at: float) -> bytes | None:
    """Tell a record from what a failing disk, or a copy from another account, made of it."""
    account, state, secret, user_id = texts
    if not (isinstance(account, bytes) and isinstance(state, bytes) and isinstance(secret, bytes)):
        return None
    known = b"=" + user_id if isinstance(user_id, bytes) else b""
    return hashlib.sha256(
        b"\0".join((account, state, secret, known, revision)) + struct.pack(">d", changed_at)
    ).digest()


def _encoded(texts: Sequence[object]) -> Sequence[bytes | None]:
    return [text.encode() if isinstance(text, str) else None for text in texts]


def _decoded(texts: Sequence[object]) -> Sequence[str | None]:
    return [text.decode() if isinstance(text, bytes) else None for text in texts]
