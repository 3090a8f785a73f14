"""Rules that are kept: the same may be one as in the configuration, and all that is kept is what was given."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from people_samples import NOWHERE, UNKEPT, an_organization, noted
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.store import limits, organizations
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.limits import StoredLimit
from aibridge.store.paging import Paging

A_MINUTE = Rule(name="a-minute", unit=Unit.REQUESTS, amount=5, window=60.0)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def test_a_rule_is_kept_as_given(connection: Connection) -> None:
    acme = an_organization(connection)
    rule = Rule(
        name="all-of-it",
        unit=Unit.COST,
        amount=12_500_000_001,
        window=0.1,
        burst=1,
        subject=Subject.USER,
        only=("ann", "b*"),
        organization=str(acme.id),
        provider="open*",
        model="gpt-?",
        mode=Mode.SHADOW,
    )
    before = noted(connection)
    kept = limits.insert(connection, rule, now=NOW)
    assert kept == StoredLimit(rule=rule, created_at=NOW, updated_at=NOW)
    assert kept.organization_id == acme.id
    assert limits.one(connection, "all-of-it") == kept
    assert noted(connection) == before + 1


@pytest.mark.parametrize(
    "rule",
    [
        A_MINUTE,
        Rule(name="held", unit=Unit.CONCURRENT, amount=1),
        Rule(name="queue", unit=Unit.CONCURRENT, amount=10**12, queue_timeout=0.5, queue_size=7),
        Rule(
            name="nets",
            unit=Unit.INPUT_TOKENS,
            amount=1,
            window=366 * 86400.0,
            subject=Subject.ADDRESS,
            only=("::/64",),
        ),
        Rule(name="1e-3", unit=Unit.TOTAL_TOKENS, amount=7, window=0.1, burst=2, model="*: \"'#"),
    ],
    ids=lambda rule: rule.name,
)
def test_what_a_file_could_say_is_kept(connection: Connection, rule: Rule) -> None:
    limits.insert(connection, rule, now=NOW)
    assert limits.rules(connection) == (rule,)


def test_networks_are_kept_in_their_common_form(connection: Connection) -> None:
    rule = msgspec.structs.replace(A_MINUTE, subject=Subject.ADDRESS, only=("10.0.0.1", "FD00::/48"))
    assert limits.insert(connection, rule, now=NOW).rule.only == ("10.0.0.1/32", "fd00::/48")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "A"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "concurrency"}, "name"),
        ({"name": UNKEPT}, "name"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 10**12 + 1}, "amount"),
        ({"unit": Unit.COST, "amount": 0}, "amount"),
        ({"unit": Unit.COST, "amount": 10**15 + 1}, "amount"),
        ({"burst": 0}, "burst"),
        ({"window": 0.0}, "window"),
        ({"window": 0.09}, "window"),
        ({"window": -1.0}, "window"),
        ({"window": math.inf}, "window"),
        ({"window": math.nan}, "window"),
        ({"window": 367 * 86400.0}, "window"),
        ({"only": ("ann",)}, "only"),
        ({"only": ("",), "subject": Subject.USER}, "only"),
        ({"only": ("x" * 257,), "subject": Subject.USER}, "only"),
        ({"only": ("10.0.0.1/8",), "subject": Subject.ADDRESS}, "only"),
        ({"provider": ""}, "provider"),
        ({"model": "a\0"}, "model"),
        ({"queue_timeout": 1.0}, "queue_timeout"),
        ({"queue_size": 1}, "queue_timeout"),
        ({"unit": Unit.CONCURRENT}, "window"),
        ({"unit": Unit.CONCURRENT, "window": 0.0, "burst": 3}, "burst"),
        ({"unit": Unit.CONCURRENT, "window": 0.0, "queue_timeout": 1.0}, "queue_size"),
        ({"unit": Unit.CONCURRENT, "window": 0.0, "queue_size": 1}, "queue_timeout"),
        ({"unit": Unit.CONCURRENT, "window": 0.0, "queue_size": 1, "queue_timeout": 601.0}, "queue_timeout"),
    ],
)
def test_what_no_file_could_say_is_refused(connection: Connection, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match="allowed: ") as raised:
        limits.insert(connection, msgspec.structs.replace(A_MINUTE, **changes), now=NOW)
    assert raised.value.field == field
    assert limits.rules(connection) == ()


def test_names_are_unique(connection: Connection) -> None:
    limits.insert(connection, A_MINUTE, now=NOW)
    with pytest.raises(Conflict, match="'a-minute'") as raised:
        limits.insert(connection, msgspec.structs.replace(A_MINUTE, amount=6), now=NOW)
    assert raised.value.field == "name"


@pytest.mark.parametrize("organization", [str(NOWHERE), "acme", UNKEPT])
def test_an_organization_has_to_be_there(connection: Connection, organization: str) -> None:
    with pytest.raises(LookupError, match="no organization"):
        limits.insert(connection, msgspec.structs.replace(A_MINUTE, organization=organization), now=NOW)


def test_a_rule_takes_the_place_of_the_one_of_its_name(connection: Connection) -> None:
    acme = an_organization(connection)
    limits.insert(connection, msgspec.structs.replace(A_MINUTE, name="other"), now=NOW)
    limits.insert(connection, A_MINUTE, now=NOW)
    before = noted(connection)
    wider = msgspec.structs.replace(A_MINUTE, amount=6)
    assert limits.update(connection, wider, now=NOW + 1) == StoredLimit(rule=wider, created_at=NOW, updated_at=NOW + 1)
    assert limits.one(connection, "a-minute") == StoredLimit(rule=wider, created_at=NOW, updated_at=NOW + 1)
    assert limits.one(connection, "other").rule.amount == 5
    assert noted(connection) == before + 1
    with pytest.raises(Invalid, match="stays with its organization"):
        limits.update(connection, msgspec.structs.replace(wider, organization=str(acme.id)), now=NOW)
    with pytest.raises(Invalid) as raised:
        limits.update(connection, msgspec.structs.replace(wider, amount=0), now=NOW)
    assert raised.value.field == "amount"


def test_a_deleted_rule_is_gone_and_the_others_are_not(connection: Connection) -> None:
    for name in ("a", "b"):
        limits.insert(connection, msgspec.structs.replace(A_MINUTE, name=name), now=NOW)
    before = noted(connection)
    limits.delete(connection, "a")
    assert [rule.name for rule in limits.rules(connection)] == ["b"]
    assert noted(connection) == before + 1


@pytest.mark.parametrize("name", ["nothing", UNKEPT])
def test_what_is_not_there_is_not_found(connection: Connection, name: str) -> None:
    for ask in (limits.one, limits.delete):
        with pytest.raises(LookupError, match="there is no limit"):
            ask(connection, name)
    with pytest.raises(LookupError):
        limits.update(connection, msgspec.structs.replace(A_MINUTE, name=name), now=NOW)


def test_pages_follow_one_another_in_the_order_of_names(connection: Connection) -> None:
    for name in "dbca":
        limits.insert(connection, msgspec.structs.replace(A_MINUTE, name=name), now=NOW)

    def page(**values: Any) -> str:
        found = limits.page(connection, Paging(**values))
        assert found.count == 4
        return "".join(limit.rule.name for limit in found.limits)

    assert page() == "abcd"
    assert page(limit=2) == "ab"
    assert page(limit=2, after_id="b") == "cd"
    assert page(limit=2, offset=1) == "bc"
    assert page(after_id="aa") == "bcd"
    with pytest.raises(Invalid):
        page(after_id=UNKEPT)
    assert "".join(rule.name for rule in limits.rules(connection)) == "abcd"


def test_the_rules_of_an_organization_go_with_it(connection: Connection) -> None:
    acme = an_organization(connection)
    limits.insert(connection, msgspec.structs.replace(A_MINUTE, organization=str(acme.id)), now=NOW)
    organizations.delete(connection, acme.id, now=NOW)
    assert limits.rules(connection) == ()
