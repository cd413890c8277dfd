"""Triggers that make log entries, assignments and sealed slots append-only.

The tables refuse UPDATE and DELETE (PostgreSQL also TRUNCATE), and a row comes in at its one
place only: an entry as the next of its log with the last leaf as `prev`, an assignment as the
next slot of its list and stratum, a sealed slot where none is. Each guard looks at one row
through an index, so an insert costs O(log n).

Why the guards: SQLite's REPLACE, in `INSERT OR REPLACE` and `UPDATE OR REPLACE`, removes the
row in its way without firing a DELETE trigger, through any unique key. A guard runs before
that and refuses every insert that would meet a row.

A recovery takes the triggers off and puts them back, inside one transaction (`lifted`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

TABLES = ("log_entry", "assignment", "sealed_slot")

# SQLSTATE of a refusal on PostgreSQL; class RA is used by no standard and no server.
SQLSTATE = "RA001"

_GUARDS = {
    "log_entry": "log_entry_follows_the_last",
    "assignment": "assignment_takes_the_next_slot",
    "sealed_slot": "sealed_slot_is_new",
}

RULES = frozenset(_GUARDS.values()) | {
    f"{table}_refuses_{verb}" for table in TABLES for verb in ("update", "delete", "truncate")
}

# True where the new row is out of place; the same SQL on both databases.
OUT_OF_PLACE = {
    "log_entry": """
        NEW.seq <> coalesce((SELECT last.seq + 1 FROM log_entry AS last
            WHERE last.trial_id = NEW.trial_id ORDER BY last.seq DESC LIMIT 1), 0)
        OR NEW.prev <> coalesce((SELECT last.leaf FROM log_entry AS last
            WHERE last.trial_id = NEW.trial_id ORDER BY last.seq DESC LIMIT 1), '')
        OR EXISTS (SELECT 1 FROM log_entry AS same
            WHERE same.trial_id = NEW.trial_id AND same.leaf = NEW.leaf)""",
    "assignment": """
        NEW.slot <> coalesce((SELECT last.slot + 1 FROM assignment AS last
            WHERE last.trial_id = NEW.trial_id AND last.list_number = NEW.list_number
              AND last.stratum = NEW.stratum ORDER BY last.slot DESC LIMIT 1), 0)
        OR EXISTS (SELECT 1 FROM assignment AS same
            WHERE same.enrolment_id = NEW.enrolment_id)
        OR EXISTS (SELECT 1 FROM assignment AS same
            WHERE same.trial_id = NEW.trial_id AND same.entry_seq = NEW.entry_seq)""",
    "sealed_slot": """
        EXISTS (SELECT 1 FROM sealed_slot AS same
            WHERE same.trial_id = NEW.trial_id AND same.list_number = NEW.list_number
              AND same.sealing = NEW.sealing AND same.stratum = NEW.stratum
              AND same.slot = NEW.slot)""",
}


def install(connection: Connection) -> None:
    """Put all triggers on, in the caller's transaction."""
    for statement in _create(connection):
        connection.exec_driver_sql(statement)


def remove(connection: Connection) -> None:
    """Take all triggers off, in the caller's transaction: for a recovery, and for migrations.

    One that somebody else took off already is no reason to stop: it is put back with the others.
    """
    for statement in _drop(connection):
        connection.exec_driver_sql(statement)


@contextmanager
def lifted(connection: Connection) -> Iterator[None]:
    """Take the triggers off for the block; where it fails, the rollback puts them back."""
    remove(connection)
    yield
    install(connection)


def find_missing(connection: Connection) -> list[str]:
    """Return the rules whose trigger is not there, is switched off, or does something else."""
    if connection.dialect.name == "postgresql":
        armed = {tuple(row) for row in connection.exec_driver_sql(_POSTGRESQL_ARMED)}
        return [row[0] for row in _POSTGRESQL_TRIGGERS if row not in armed]
    stored = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
    armed_here = {sql for (sql,) in stored}
    return [sql.split()[2] for sql in _SQLITE_CREATE if sql not in armed_here]


def _create(connection: Connection) -> list[str]:
    if connection.dialect.name == "postgresql":
        return _POSTGRESQL_CREATE
    return _SQLITE_CREATE


def _drop(connection: Connection) -> list[str]:
    if connection.dialect.name == "postgresql":
        return _POSTGRESQL_DROP
    return _SQLITE_DROP


def _sqlite_refusal(table: str, verb: str) -> str:
    name = f"{table}_refuses_{verb}"
    return (
        f"CREATE TRIGGER {name} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
    )


def _sqlite_guard(table: str) -> str:
    name = _GUARDS[table]
    return (
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {OUT_OF_PLACE[table]} "
        f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
    )


_SQLITE_CREATE = [
    *(_sqlite_refusal(table, verb) for table in TABLES for verb in ("update", "delete")),
    *(_sqlite_guard(table) for table in TABLES),
]
_SQLITE_DROP = [
    *(
        f"DROP TRIGGER IF EXISTS {table}_refuses_{verb}"
        for table in TABLES
        for verb in ("update", "delete")
    ),
    *(f"DROP TRIGGER IF EXISTS {_GUARDS[table]}" for table in TABLES),
]

_RAISE = f"RAISE EXCEPTION USING ERRCODE = '{SQLSTATE}', MESSAGE = TG_NAME;"


def _postgresql_function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _postgresql_refusal(table: str, verb: str) -> str:
    # FOR EACH STATEMENT: refused also where the statement would meet no row, and with it
    # INSERT … ON CONFLICT DO UPDATE, which fires the UPDATE triggers of its statement.
    return (
        f"CREATE TRIGGER {table}_refuses_{verb} BEFORE {verb.upper()} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _postgresql_guard(table: str) -> list[str]:
    name = _GUARDS[table]
    return [
        _postgresql_function(name, _guard_body(table)),
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _guard_body(table: str) -> str:
    return f"IF {OUT_OF_PLACE[table]} THEN {_RAISE} END IF; RETURN NEW;"


def _postgresql_always(table: str) -> list[str]:
    # ALWAYS: session_replication_role = replica does not switch them off.
    names = [f"{table}_refuses_{verb}" for verb in ("update", "delete", "truncate")]
    return [
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for name in (*names, _GUARDS[table])
    ]


_POSTGRESQL_CREATE = [
    _postgresql_function("refuse_change", _RAISE),
    *(
        _postgresql_refusal(table, verb)
        for table in TABLES
        for verb in ("update", "delete", "truncate")
    ),
    *(statement for table in TABLES for statement in _postgresql_guard(table)),
    *(statement for table in TABLES for statement in _postgresql_always(table)),
]
_POSTGRESQL_DROP = [
    *(
        f"DROP TRIGGER IF EXISTS {table}_refuses_{verb} ON {table}"
        for table in TABLES
        for verb in ("update", "delete", "truncate")
    ),
    *(f"DROP TRIGGER IF EXISTS {_GUARDS[table]} ON {table}" for table in TABLES),
    *(f"DROP FUNCTION IF EXISTS {name}()" for name in ("refuse_change", *_GUARDS.values())),
]
# Each trigger with its function and that function's source, which anybody who owns the tables
# could replace; only those are listed that fire whatever role a session plays.
_POSTGRESQL_TRIGGERS = [
    *(
        (f"{table}_refuses_{verb}", "refuse_change", f" BEGIN {_RAISE} END ")
        for table in TABLES
        for verb in ("update", "delete", "truncate")
    ),
    *((name, name, f" BEGIN {_guard_body(table)} END ") for table, name in _GUARDS.items()),
]
_POSTGRESQL_ARMED = """
    SELECT tgname, proname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal AND tgenabled = 'A'"""
