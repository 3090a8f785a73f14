"""Rules of the overload engine that are set over the API, beside those of the configuration.

What a rule may be is said in one place, where the configuration's are read: `limits.written`. Instants are UTC
microseconds.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, RowMapping, select

from aibridge.domain.rule import Rule
from aibridge.limits.entries import EntryError
from aibridge.limits.written import checked
from aibridge.store import changes, names, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.paging import Paging, counted, paged

_log = logging.getLogger("aibridge")
_LIMITS = schema.limits.c
_RULE = msgspec.json.Decoder(Rule)
_FIELDS = {"timeout": "queue_timeout", "size": "queue_size", "queue": "queue_timeout"}
"""What a rule calls the fields that have other names where people write them."""


class StoredLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and since when it is as it is. `rule.organization` is the id of the organization that it is of."""

    rule: Rule
    created_at: int
    updated_at: int

    @property
    def organization_id(self) -> uuid.UUID | None:
        """The organization that it is of, None for everybody's."""
        return None if self.rule.organization is None else uuid.UUID(self.rule.organization)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the rules, in the order of their names, and how many there are."""

    limits: tuple[StoredLimit, ...]
    count: int


def insert(connection: Connection, rule: Rule, *, now: int) -> StoredLimit:
    """Add a rule. Whether the configuration has one of that name, or prices for one of cost, is not known here.

    Raises:
        Invalid: a value is not allowed.
        Conflict: there is a rule of that name.
        LookupError: there is no such organization.
    """
    kept = _checked(connection, rule)
    if connection.execute(select(_LIMITS.name).where(_LIMITS.name == kept.name)).first() is not None:
        raise Conflict("name", f"there is a limit {kept.name!r} already")
    row = {"name": kept.name, "organization_id": kept.organization, "rule": _written(kept)}
    connection.execute(schema.limits.insert(), {**row, "created_at": now, "updated_at": now})
    changes.note(connection)
    return StoredLimit(rule=kept, created_at=now, updated_at=now)


def one(connection: Connection, name: str) -> StoredLimit:
    """The rule of that name.

    Raises:
        LookupError: there is none.
    """
    asked = select(schema.limits).where(_LIMITS.name == name)
    row = connection.execute(asked).mappings().one_or_none() if names.can_be_kept(name) else None
    if row is None:
        raise LookupError(f"there is no limit {name!r}")
    return _stored(row)


def page(connection: Connection, paging: Paging) -> Page:
    """List the rules in the order of their names. `after_id` is a name, which nothing need have any more.

    Raises:
        Invalid: `after_id` cannot be a name.
    """
    matching = select(schema.limits).order_by(_LIMITS.name)
    asked = paged(matching, paging)
    if paging.after_id is not None:
        names.check_text("after_id", paging.after_id, names.NAME_LENGTH)
        asked = asked.where(_LIMITS.name > paging.after_id)
    limits = tuple(map(_stored, connection.execute(asked).mappings()))
    return Page(limits=limits, count=counted(connection, matching))


def rules(connection: Connection) -> tuple[Rule, ...]:
    """All rules in the order of their names, which is the order in which they are asked.

    One that this program cannot read, since a newer one wrote it, is left out, and told in the log once by each
    process: what else is new, such as the end of a token, must come into force all the same.
    """
    return tuple(_readable(connection.execute(select(_LIMITS.name, _LIMITS.rule).order_by(_LIMITS.name))))


def _readable(rows: Iterable[Row[Any]]) -> Iterator[Rule]:
    for row in rows:
        try:
            yield _RULE.decode(row.rule)
        except msgspec.MsgspecError as problem:
            _tell(row.name, str(problem))


@cache
def _tell(name: str, problem: str) -> None:
    _log.error("the limit %s is left out: %s", name, problem)


def update(connection: Connection, rule: Rule, *, now: int) -> StoredLimit:
    """Put this rule in the place of the one of its name. Of which organization it is stays.

    Raises:
        LookupError: there is no rule of that name.
        Invalid: a value is not allowed; or the organization is another one.
    """
    before = one(connection, rule.name)
    if rule.organization != before.rule.organization:
        raise Invalid("organization_id", "a limit stays with its organization: delete it, and make another there")
    kept = _checked(connection, rule)
    change = schema.limits.update().where(_LIMITS.name == kept.name)
    connection.execute(change.values(rule=_written(kept), updated_at=now))
    changes.note(connection)
    return StoredLimit(rule=kept, created_at=before.created_at, updated_at=now)


def delete(connection: Connection, name: str) -> None:
    """Delete a rule.

    Raises:
        LookupError: there is none of that name.
    """
    one(connection, name)
    connection.execute(schema.limits.delete().where(_LIMITS.name == name))
    changes.note(connection)


def _checked(connection: Connection, rule: Rule) -> Rule:
    try:
        kept = checked(rule)
    except EntryError as error:
        raise Invalid(_FIELDS.get(error.field, error.field), error.complaint) from None
    organization = schema.organizations.c.id
    if kept.organization is not None and (
        not names.can_be_kept(kept.organization)
        or connection.execute(select(organization).where(organization == kept.organization)).first() is None
    ):
        raise LookupError(f"there is no organization {kept.organization!r}")
    return kept


def _written(rule: Rule) -> str:
    return msgspec.json.encode(rule).decode()


def _stored(row: RowMapping | dict[str, Any]) -> StoredLimit:
    return StoredLimit(rule=_RULE.decode(row["rule"]), created_at=row["created_at"], updated_at=row["updated_at"])
