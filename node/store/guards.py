"""What the database itself refuses, whoever asks: rewriting what happened.

The same refusals on SQLite and PostgreSQL, as triggers that fire only for what is forbidden, so that allowed work pays
nothing. A refusal aborts the transaction and reaches the caller as an IntegrityError whose message says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from . import schema


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """One refusal."""

    table: str
    operation: str  # UPDATE or DELETE
    why: str  # continues "TABLE: "
    columns: tuple[str, ...] = ()  # only when one of these is assigned to; none: any
    unless: str = ""  # a condition on OLD and NEW under which it is allowed

    @property
    def name(self) -> str:
        """Of its trigger."""
        return "_".join(("guard", self.table, self.operation.lower(), *self.columns[:1]))


MUTABLE = {
    schema.lot: {"remaining", "clears"},
    schema.balance: {"debits_pending", "debits_posted", "credits_pending", "credits_posted", "latest"},
    schema.transfer: {"state", "reason", "hold", "offered", "answered", "decided_ms", "balance"},
    schema.claim: {"state"},
    schema.repair: {"payload", "mine", "theirs", "at_ms"},
    schema.agreement: {"countersigned", "state", "reason", "decided_ms"},
    schema.notice: {"refused"},
    schema.request: {"state", "reason", "answered_ms"},
    schema.clawback: {"blocks", "recovered", "further", "owed", "state", "reason", "answered_ms", "settled"},
    schema.consent: {"withdrawn_ms"},
    schema.penalty: {"taken", "state", "checker", "appeal", "decided_ms"},
    schema.code: {"used_ms"},
    schema.share: {"used_ms"},
    schema.attestation: {"signed", "state", "reason", "expires", "decided_ms"},
    schema.recognition: {"revoked_ms"},
    schema.authorisation: {"state", "reason", "captured", "ended_ms", "changed"},
    schema.dispute: {
        "state",
        "reason",
        "last",
        "steps",
        "deadline",
        "settled",
        "pending",
        "hold",
        "ended_ms",
    },
}
"""Of tables whose rows change: the columns that do. The others stay as they were inserted."""

STAYS = (
    schema.account, schema.balance, schema.lot, schema.transfer, schema.log, schema.channel, schema.history,
    schema.claim, schema.repair, schema.agreement, schema.notice, schema.consent, schema.attestation,
    schema.authorisation, schema.clawback, schema.dispute, schema.penalty, schema.request,
)  # fmt: skip
"""Tables whose rows change and never go away."""

# Also when both are NULL. SQLite knows this spelling since 3.39 only and is given its own, IS.
_SAME = "{new}.{column} IS NOT DISTINCT FROM {old}.{column}"

# Frames my peer is not known to hold may go back to the outbox. Only my own logs have a channel that names them.
_NOT_FINAL = "EXISTS (SELECT 1 FROM channel WHERE channel.out_log = OLD.log AND channel.final <= {frame})"

# A segment that `final` divides keeps its beginning, byte for byte.
_SHORTENED = " AND ".join(
    [
        *(_SAME.format(new="NEW", old="OLD", column=c) for c in ("log", "first", "epoch", "head", "at_ms")),
        "NEW.size < OLD.size",
        "NEW.frames = substr(OLD.frames, 1, length(NEW.frames))",
        _NOT_FINAL.format(frame="NEW.size"),
    ]
)


def guards() -> Iterator[Guard]:
    """Every refusal, in a fixed order."""
    for table in schema.APPEND_ONLY:
        yield Guard(table=table.name, operation="UPDATE", why="append-only, its rows never change")
        yield Guard(table=table.name, operation="DELETE", why="append-only, its rows never go away")
    for table in STAYS:
        yield Guard(table=table.name, operation="DELETE", why="its rows never go away")
    for table, mutable in MUTABLE.items():
        fixed = tuple(column.name for column in table.columns if column.name not in mutable)
        yield Guard(
            table=table.name, operation="UPDATE", columns=fixed, why=f"only {', '.join(sorted(mutable))} may change"
        )
    yield Guard(
        table="lot",
        operation="UPDATE",
        columns=("clears",),
        why="an award of the region itself is never provisional",
        unless="OLD.clears IS NOT NULL",
    )
    yield Guard(
        table="transfer",
        operation="UPDATE",
        columns=("balance",),
        why="whose points they are never changes once it is known",
        unless="OLD.balance IS NULL",
    )
    yield Guard(
        table="repair",
        operation="UPDATE",
        why="what both regions have signed stays as it is",
        unless="OLD.mine IS NULL OR OLD.theirs IS NULL",
    )
    yield Guard(
        table="segment",
        operation="UPDATE",
        why="frames never change; only those that are not final may be cut off the end",
        unless=_SHORTENED,
    )
    yield Guard(
        table="segment",
        operation="DELETE",
        why="only frames of an own log that are not final may be taken out",
        unless=_NOT_FINAL.format(frame="OLD.first"),
    )
    yield Guard(table="node", operation="UPDATE", why="the hash of a full subtree never changes")
    yield Guard(
        table="channel",
        operation="UPDATE",
        columns=("final",),
        why="what is final stays final",
        unless="NEW.final >= OLD.final OR NEW.out_log <> OLD.out_log",
    )


def set_up(connection: Connection) -> None:
    """Create every trigger; the tables are there and none of the triggers is."""
    for statement in statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


def take_down(connection: Connection) -> None:
    """Drop every trigger, so that a migration may rebuild tables."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'guard\\_%' ESCAPE '\\'"
        )
        for (name,) in found.all():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    else:
        found = connection.exec_driver_sql(
            "SELECT tgname, tgrelid::regclass::text FROM pg_trigger "
            "WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = "
            "current_schema()::regnamespace) AND starts_with(tgname, 'guard_')"
        )
        for name, table in found.all():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}" ON {table}')


def statements(dialect: str) -> Iterator[str]:
    """The DDL of every guard for `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        yield from map(_sqlite, guards())
    else:
        yield _REFUSE
        yield from map(_postgresql, guards())
        for table in (*schema.APPEND_ONLY, *STAYS, schema.segment, schema.node):
            yield _no_truncate(table)


def _message(guard: Guard) -> str:
    return f"{guard.table}: {guard.why} ({guard.operation} refused)"


def _event(guard: Guard) -> str:
    columns = ", ".join(f'"{column}"' for column in guard.columns)
    return f"{guard.operation} OF {columns}" if columns else guard.operation


def _sqlite(guard: Guard) -> str:
    when = f"WHEN NOT ({guard.unless.replace('IS NOT DISTINCT FROM', 'IS')}) " if guard.unless else ""
    return (
        f'CREATE TRIGGER {guard.name} BEFORE {_event(guard)} ON "{guard.table}" {when}'
        f"BEGIN SELECT RAISE(ABORT, '{_message(guard)}'); END"
    )


# `restrict_violation`: an integrity error, as SQLite's RAISE is. A condition that looks at another table cannot stand
# in a trigger's WHEN, so it is the trigger's last argument, run with the two rows.
_REFUSE = """
CREATE OR REPLACE FUNCTION guard_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    allowed boolean := false;
BEGIN
    IF TG_NARGS = 2 THEN
        EXECUTE 'SELECT ' || replace(replace(TG_ARGV[1], 'OLD.', '($1).'), 'NEW.', '($2).') INTO allowed USING OLD, NEW;
    END IF;
    IF allowed THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = TG_ARGV[0];
END $$
"""


def _postgresql(guard: Guard) -> str:
    when, arguments = "", [_message(guard)]
    if "SELECT" in guard.unless:
        arguments.append(guard.unless)
    elif guard.unless:
        when = f"WHEN (NOT ({guard.unless})) "
    each = "ROW" if guard.unless else "STATEMENT"
    called = ", ".join(f"'{argument}'" for argument in arguments)
    return (
        f'CREATE TRIGGER {guard.name} BEFORE {_event(guard)} ON "{guard.table}" '
        f"FOR EACH {each} {when}EXECUTE FUNCTION guard_refuse({called})"
    )


def _no_truncate(table: Table) -> str:
    guard = Guard(table=table.name, operation="TRUNCATE", why="its rows never go away")
    return _postgresql(guard)
