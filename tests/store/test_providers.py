"""Providers that are kept: their keys sealed, and told to nobody but the data plane."""

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from people_samples import UNKEPT, noted
from sqlalchemy import Connection, select
from store_samples import NOW

from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.provider_name import LONGEST, RESERVED_NAMES
from aibridge.store import providers, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.names import NAME_LENGTH
from aibridge.store.paging import Paging
from aibridge.store.providers import StoredProvider
from aibridge.store.sealing import Keyring, SealingError

OLD, NEW = b"o" * 32, b"n" * 32
KEYRING = Keyring([OLD])
KEY = "sk-0123456789abcdef"
URL = "https://api.example.com/v1"


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def a_provider(connection: Connection, name: str = "own", **values: Any) -> StoredProvider:
    usual: dict[str, Any] = {"kind": ProviderKind.OPENAI, "base_url": URL, "key": KEY, "now": NOW}
    return providers.insert(connection, KEYRING, name=name, **usual | values)


def change(connection: Connection, provider: StoredProvider, **values: Any) -> StoredProvider:
    return providers.update(connection, KEYRING, provider.id, now=NOW + 1, **values)


def keys(connection: Connection, keyring: Keyring = KEYRING) -> dict[str, str | None]:
    return {provider.name: provider.key for provider in providers.opened(connection, keyring)}


def test_a_provider_is_kept_as_given_but_for_its_key(connection: Connection) -> None:
    before = noted(connection)
    kept = a_provider(connection, display_name="Ours ä", internal=True, kind=ProviderKind.ANTHROPIC)
    assert kept == StoredProvider(
        id=kept.id,
        name="own",
        display_name="Ours ä",
        kind=ProviderKind.ANTHROPIC,
        base_url=URL,
        enabled=True,
        internal=True,
        last_four="cdef",
        master_key_id=KEYRING.key_id,
        created_at=NOW,
        updated_at=NOW,
    )
    assert str(uuid.UUID(kept.id)) == kept.id
    assert providers.one(connection, kept.id) == providers.one(connection, "own") == kept
    assert noted(connection) == before + 1
    plain = a_provider(connection, "plain", key=None)
    assert (plain.display_name, plain.last_four, plain.master_key_id) == ("plain", None, None)


def test_the_data_plane_has_it_with_its_key(connection: Connection) -> None:
    a_provider(connection)
    a_provider(connection, "hall", base_url="http://10.0.0.1:8080", internal=True, key=None)
    a_provider(connection, "off", enabled=False)
    assert providers.opened(connection, KEYRING) == (
        Provider.at("hall", ProviderKind.OPENAI, "http://10.0.0.1:8080", internal=True),
        Provider.at("own", ProviderKind.OPENAI, URL, KEY),
    )


def test_no_key_is_kept_as_it_is(connection: Connection) -> None:
    a_provider(connection)
    (row,) = connection.execute(select(schema.providers))
    assert KEY.encode() not in row.sealed_key
    assert KEY not in str(tuple(row))
    assert KEY not in repr(providers.page(connection, Paging()))


@pytest.mark.parametrize(("key", "told"), [("x" * 15, ""), ("x" * 12 + "abcd", "abcd")])
def test_of_a_short_key_nothing_is_told(connection: Connection, key: str, told: str) -> None:
    assert a_provider(connection, key=key).last_four == told
    assert keys(connection) == {"own": key}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        *(({"name": name}, "name") for name in ("", "A", "a_b", "-a", "a--b", "ä", "a\n", "a" * (LONGEST + 1))),
        *(({"name": name}, "name") for name in sorted(RESERVED_NAMES)),
        *(({"key": key}, "key") for key in ("", "a b", "a\n", "ä", UNKEPT, "x" * 4097)),
        *(({"display_name": text}, "display_name") for text in (UNKEPT, "x" * (NAME_LENGTH + 1))),
        *(
            ({"base_url": url}, "base_url")
            for url in (
                *(
                    "",
                    "ftp://a.example",
                    "https://a:b@a.example",
                    "https://a.example/?q=1",
                    f"https://a.example/{'x' * 1024}",
                ),
                *(
                    "http://a.example",
                    "https://127.0.0.1",
                    "https://169.254.169.254",
                    "https://localhost",
                    "https://0x7f.1",
                ),
            )
        ),
    ],
)
def test_values_that_are_not_allowed_are_refused(connection: Connection, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        a_provider(connection, **{"name": "own"} | values)
    assert raised.value.field == field
    if field == "key":
        assert values["key"] not in str(raised.value) or not values["key"]
    assert providers.page(connection, Paging()).count == 0
    if field != "name":
        kept = a_provider(connection)
        with pytest.raises(Invalid) as raised:
            change(connection, kept, **values)
        assert raised.value.field == field


def test_only_an_internal_provider_may_be_anywhere(connection: Connection) -> None:
    kept = a_provider(connection, base_url="http://127.0.0.1:1", internal=True)
    with pytest.raises(Invalid, match="flagged as internal") as raised:
        change(connection, kept, internal=False)
    assert raised.value.field == "base_url"


def test_names_are_unique(connection: Connection) -> None:
    a_provider(connection)
    with pytest.raises(Conflict, match="'own'") as raised:
        a_provider(connection)
    assert raised.value.field == "name"


def test_what_is_not_given_stays(connection: Connection) -> None:
    kept = a_provider(connection, display_name="Ours")
    other = a_provider(connection, "other")
    before = noted(connection)
    assert change(connection, kept, enabled=False).enabled is False
    changed = change(connection, kept, display_name="", base_url="https://api.example.com/v2")
    assert (changed.display_name, changed.base_url, changed.enabled) == ("own", "https://api.example.com/v2", False)
    assert (changed.created_at, changed.updated_at, changed.last_four) == (NOW, NOW + 1, "cdef")
    assert noted(connection) == before + 2
    change(connection, kept, enabled=True)
    assert keys(connection) == {"own": KEY, "other": KEY}
    assert providers.one(connection, "other") == other


def test_a_key_is_replaced_or_taken_away(connection: Connection) -> None:
    kept = a_provider(connection)
    assert change(connection, kept, key="sk-another-one-wxyz").last_four == "wxyz"
    assert keys(connection) == {"own": "sk-another-one-wxyz"}
    assert change(connection, kept, key=None).last_four is None
    assert keys(connection) == {"own": None}


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/v1", "https://api.example.com:444/v1", "http://api.example.com/v1"]
)
def test_a_key_does_not_go_along_to_another_host(connection: Connection, elsewhere: str) -> None:
    # LiteLLM CVE-2024-6587: whoever may say where the calls go is sent the key.
    kept = a_provider(connection, internal=True)
    with pytest.raises(Invalid, match="give its key again") as raised:
        change(connection, kept, base_url=elsewhere)
    assert raised.value.field == "key"
    assert change(connection, kept, base_url=elsewhere, key="sk-for-over-there").base_url == elsewhere
    assert keys(connection) == {"own": "sk-for-over-there"}
    without = a_provider(connection, "without", internal=True, key=None)
    assert change(connection, without, base_url=elsewhere).base_url == elsewhere


def test_a_deleted_provider_is_gone_and_its_name_is_free(connection: Connection) -> None:
    a_provider(connection, "other")
    kept = a_provider(connection)
    before = noted(connection)
    providers.delete(connection, kept.id)
    assert keys(connection) == {"other": KEY}
    assert noted(connection) == before + 1
    assert a_provider(connection).id != kept.id


@pytest.mark.parametrize("name", ["nothing", UNKEPT])
def test_what_is_not_there_is_not_found(connection: Connection, name: str) -> None:
    for ask in (providers.one, providers.delete):
        with pytest.raises(LookupError, match="there is no provider"):
            ask(connection, name)
    with pytest.raises(LookupError):
        providers.update(connection, KEYRING, name, now=NOW)
    with pytest.raises(LookupError):
        providers.page(connection, Paging(after_id=name))


def test_pages_follow_one_another_in_the_order_of_names(connection: Connection) -> None:
    made = {name: a_provider(connection, name) for name in "dbca"}

    def page(**values: Any) -> str:
        found = providers.page(connection, Paging(**values))
        assert found.count == 4
        return "".join(provider.name for provider in found.providers)

    assert page() == "abcd"
    assert page(limit=2) == "ab"
    assert page(limit=2, after_id=made["b"].id) == "cd"
    assert page(limit=2, offset=1) == "bc"


def test_a_new_master_key_takes_over_from_an_old_one(connection: Connection) -> None:
    for name in "ab":
        a_provider(connection, name)
    a_provider(connection, "without", key=None)
    both = Keyring([NEW, OLD])
    before = noted(connection)
    assert providers.reseal(connection, both) == 2
    assert noted(connection) == before + 1
    assert keys(connection, Keyring([NEW])) == {"a": KEY, "b": KEY, "without": None}
    assert providers.one(connection, "a").master_key_id == both.key_id
    assert providers.one(connection, "a").last_four == "cdef"
    assert providers.reseal(connection, both) == 0
    assert noted(connection) == before + 1


def test_a_key_that_cannot_be_opened_is_not_resealed(connection: Connection) -> None:
    a_provider(connection)
    with pytest.raises(SealingError) as raised:
        providers.reseal(connection, Keyring([NEW]))
    assert raised.value.key_id == KEYRING.key_id


def test_a_provider_whose_key_does_not_open_is_left_out_and_told_of_once(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"shut-{uuid.uuid4().hex[:8]}"
    a_provider(connection, name)
    a_provider(connection, "without", key=None)
    for _ in range(2):
        assert keys(connection, Keyring([NEW])) == {"without": None}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert name in record.getMessage()
    assert KEYRING.key_id in record.getMessage()
    assert keys(connection) == {name: KEY, "without": None}


def test_a_key_from_another_row_does_not_open(connection: Connection) -> None:
    for name in ("mine", "theirs"):
        a_provider(connection, name, key=f"sk-{name}-0123456789")
    columns = schema.providers.c
    sealed = select(columns.sealed_key).where(columns.name == "theirs").scalar_subquery()
    connection.execute(schema.providers.update().where(columns.name == "mine").values(sealed_key=sealed))
    assert keys(connection) == {"theirs": "sk-theirs-0123456789"}


def test_a_row_that_is_no_provider_to_this_program_is_left_out(connection: Connection) -> None:
    for name in ("a", "b", "c", "d"):
        a_provider(connection, name)
    columns = schema.providers.c
    for name, values in (("a", {"kind": "teapot"}), ("b", {"base_url": "gopher://x"}), ("c", {"name": "metrics"})):
        connection.execute(schema.providers.update().where(columns.name == name).values(values))
    assert keys(connection) == {"d": KEY}
