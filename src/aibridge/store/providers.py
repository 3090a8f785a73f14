"""Vendor accounts that are set over the API, beside those of the configuration. Instants are UTC microseconds.

A key is sealed before it is kept, and opened for the data plane alone: nothing here answers with one.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, RowMapping, func, select

from aibridge.domain import provider_name
from aibridge.domain.provider import Origin, Provider, ProviderKind
from aibridge.domain.upstream_address import objection
from aibridge.store import changes, names, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.paging import Paging, counted, paged
from aibridge.store.sealing import Keyring, Place, Sealed, SealingError

LONGEST_KEY = 4096
LONGEST_URL = 1024
"""Characters."""
HINT = 4
"""How many characters of a key are told, from its end: enough to know it by, of no use to anybody else."""
SHORTEST_TOLD = 16
"""Characters of a key that is told anything of: of a shorter one, the hint would be too much of it."""

_log = logging.getLogger("aibridge")
_PROVIDERS = schema.providers.c


def _place(provider_id: str) -> Place:
    return Place("providers", provider_id)


class StoredProvider(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a provider, its key excepted.

    `last_four` are the key's, empty where it is too short to tell of it and None where there is none.
    `master_key_id` is that of the master key that opens it.
    """

    id: str
    name: str
    display_name: str
    kind: ProviderKind
    base_url: str
    enabled: bool
    internal: bool
    last_four: str | None
    master_key_id: str | None
    created_at: int
    updated_at: int


_COLUMNS = [_PROVIDERS[name] for name in StoredProvider.__struct_fields__]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the providers, in the order of their names, and how many there are."""

    providers: tuple[StoredProvider, ...]
    count: int


def insert(  # noqa: PLR0913 (what a provider is, each by name)
    connection: Connection,
    keyring: Keyring,
    *,
    name: str,
    kind: ProviderKind,
    base_url: str,
    key: str | None = None,
    display_name: str = "",
    enabled: bool = True,
    internal: bool = False,
    now: int,
) -> StoredProvider:
    """Add a provider. Whether the configuration has one of that name is not known here.

    Raises:
        Invalid: a value is not allowed.
        Conflict: there is a provider of that name.
    """
    try:
        provider_name.checked(name)
    except ValueError as error:
        raise Invalid("name", str(error)) from None
    names.check_text("display_name", display_name, names.NAME_LENGTH)
    _check_place(name, kind, base_url, internal=internal)
    if connection.execute(select(_PROVIDERS.id).where(_PROVIDERS.name == name)).first() is not None:
        raise Conflict("name", f"there is a provider {name!r} already")
    provider_id = str(uuid.uuid4())
    row = {
        "id": provider_id,
        "name": name,
        "display_name": display_name or name,
        "kind": kind.value,
        "base_url": base_url,
        "enabled": enabled,
        "internal": internal,
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(schema.providers.insert(), row | _sealed(keyring, provider_id, key))
    changes.note(connection)
    return one(connection, provider_id)


def one(connection: Connection, provider: str) -> StoredProvider:
    """Find a provider by its id or its name: no name looks like an id, being too short.

    Raises:
        LookupError: there is none.
    """
    row = None
    if names.can_be_kept(provider):
        asked = select(*_COLUMNS).where((_PROVIDERS.id == provider) | (_PROVIDERS.name == provider))
        row = connection.execute(asked).mappings().one_or_none()
    if row is None:
        raise LookupError(f"there is no provider {provider!r}")
    return _stored(row)


def page(connection: Connection, paging: Paging) -> Page:
    """List the providers in the order of their names.

    Raises:
        LookupError: `after_id` names no provider.
    """
    matching = select(*_COLUMNS).order_by(_PROVIDERS.name)
    asked = paged(matching, paging)
    if paging.after_id is not None:
        asked = asked.where(_PROVIDERS.name > one(connection, paging.after_id).name)
    found = tuple(map(_stored, connection.execute(asked).mappings()))
    return Page(providers=found, count=counted(connection, matching))


def update(  # noqa: PLR0913 (what can change, each by name)
    connection: Connection,
    keyring: Keyring,
    provider: str,
    *,
    display_name: str | UnsetType = UNSET,
    base_url: str | UnsetType = UNSET,
    key: str | UnsetType | None = UNSET,
    enabled: bool | UnsetType = UNSET,
    internal: bool | UnsetType = UNSET,
    now: int,
) -> StoredProvider:
    """Change what is given of a provider; a key of None takes the key away.

    A key does not go along to another host, since whoever may change a provider may not read its key: there it has to
    be given again. Name and kind stay, since records of calls and limits speak of them.

    Raises:
        LookupError: there is no such provider.
        Invalid: a value is not allowed, or the host changes and no key is given for it.
    """
    before = one(connection, provider)
    given = {"display_name": display_name, "base_url": base_url, "enabled": enabled, "internal": internal}
    values: dict[str, Any] = {field: value for field, value in given.items() if value is not UNSET}
    if "display_name" in values:
        names.check_text("display_name", values["display_name"], names.NAME_LENGTH)
        values["display_name"] = values["display_name"] or before.name
    after = msgspec.structs.replace(before, **values)
    there = _check_place(after.name, after.kind, after.base_url, internal=after.internal)
    if key is UNSET and before.last_four is not None and there.origin != _origin_before(before):
        raise Invalid("key", "the provider is at another host now: give its key again, or null to take it away")
    if key is not UNSET:
        values |= _sealed(keyring, before.id, key)
    connection.execute(schema.providers.update().where(_PROVIDERS.id == before.id).values(values | {"updated_at": now}))
    changes.note(connection)
    return one(connection, before.id)


def delete(connection: Connection, provider: str) -> None:
    """Delete a provider and its key.

    Raises:
        LookupError: there is no such provider.
    """
    connection.execute(schema.providers.delete().where(_PROVIDERS.id == one(connection, provider).id))
    changes.note(connection)


def sealed_before(connection: Connection, keyring: Keyring) -> int:
    """How many keys another master key than the present one sealed."""
    other = select(func.count()).where(_PROVIDERS.master_key_id != keyring.key_id)
    count: int = connection.execute(other).scalar_one()
    return count


def reseal(connection: Connection, keyring: Keyring) -> int:
    """Seal all keys anew that an older master key sealed, so that it can be dropped; answers how many.

    Raises:
        SealingError: one cannot be opened. Then nothing is resealed, if the transaction is given up.
    """
    resealed = 0
    asked = select(_PROVIDERS.id, _PROVIDERS.sealed_key, _PROVIDERS.master_key_id)
    for row in connection.execute(asked.where(_PROVIDERS.master_key_id != keyring.key_id)).all():
        key = keyring.open(Sealed(key_id=row.master_key_id, data=row.sealed_key), _place(row.id))
        change = schema.providers.update().where(_PROVIDERS.id == row.id)
        connection.execute(change.values(_sealed(keyring, row.id, key)))
        resealed += 1
    if resealed:
        changes.note(connection)
    return resealed


def are_there(connection: Connection) -> bool:
    """Whether there is a provider that is enabled, be it one that cannot be opened."""
    asked = select(_PROVIDERS.id).where(_PROVIDERS.enabled.is_(True)).limit(1)
    return connection.execute(asked).first() is not None


def opened(connection: Connection, keyring: Keyring) -> tuple[Provider, ...]:
    """The providers that are enabled, with their keys, in the order of their names.

    One whose key does not open is left out, as is one that is no provider to today's program: both are told in the log,
    once by each process, and the others serve.
    """
    asked = select(schema.providers).where(_PROVIDERS.enabled.is_(True)).order_by(_PROVIDERS.name)
    return tuple(_opened(connection.execute(asked).mappings(), keyring))


def _opened(rows: Iterable[RowMapping], keyring: Keyring) -> Iterator[Provider]:
    for row in rows:
        try:
            key = None
            if row["sealed_key"] is not None:
                sealed = Sealed(key_id=row["master_key_id"], data=row["sealed_key"])
                key = keyring.open(sealed, _place(row["id"]))
            yield Provider.at(
                provider_name.checked(row["name"]),
                ProviderKind(row["kind"]),
                row["base_url"],
                key,
                internal=bool(row["internal"]),
            )
        except (SealingError, ValueError) as problem:
            _tell(row["name"], str(problem))


@cache
def _tell(name: str, problem: str) -> None:
    _log.error("the provider %s is left out: %s", name, problem)


def _check_place(name: str, kind: ProviderKind, base_url: str, *, internal: bool) -> Provider:
    """Refuse a base URL that cannot be one, or is where a provider may not be."""
    names.check_text("base_url", base_url, LONGEST_URL)
    try:
        provider = Provider.at(name, kind, base_url, internal=internal)
    except ValueError as error:
        raise Invalid("base_url", str(error)) from None
    problem = objection(provider)
    if problem is not None:
        raise Invalid("base_url", f"{problem} Only a provider that is flagged as internal may be there.")
    return provider


def _sealed(keyring: Keyring, provider_id: str, key: str | None) -> dict[str, object]:
    if key is None:
        return {"sealed_key": None, "master_key_id": None, "last_four": None}
    # It goes out in a header: there, anything else would be refused, or be a second header.
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise Invalid("key", f"a key has 1 to {LONGEST_KEY} printable ASCII characters, none of them a space")
    sealed = keyring.seal(key, _place(provider_id))
    hint = key[-HINT:] if len(key) >= SHORTEST_TOLD else ""
    return {"sealed_key": sealed.data, "master_key_id": sealed.key_id, "last_four": hint}


def _origin_before(provider: StoredProvider) -> Origin:
    return Provider.at(provider.name, provider.kind, provider.base_url, internal=provider.internal).origin


def _stored(row: RowMapping) -> StoredProvider:
    flags = {"enabled": bool(row["enabled"]), "internal": bool(row["internal"])}
    return StoredProvider(**{**row, **flags, "kind": ProviderKind(row["kind"])})
