"""How things are printed."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from aibridge.cli.output import Row, show, show_one, table
from aibridge.domain.role import RoleIdentifier

AT = datetime(2025, 11, 24, 16, 0, 0, 123456, tzinfo=UTC)


class Thing(msgspec.Struct):
    """Something with all sorts of fields."""

    name: str
    roles: list[RoleIdentifier]
    at: datetime | None = None


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows: list[Row] = [{"id": "a", "last_four": "wxyz"}, {"id": "longer", "last_four": None}]

    assert table(rows, ["id", "last_four"]).splitlines() == ["ID      LAST FOUR", "a       wxyz", "longer  -"]


def test_a_table_without_rows_is_its_heading() -> None:
    assert table([], ["id", "name"]) == "ID  NAME"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (["a", None, 1], "a, -, 1"),
        ((), "-"),
        ({"a": 1}, '{"a":1}'),
        (RoleIdentifier("owner"), "owner"),
        (AT, "2025-11-24 16:00:00Z"),
        (AT.astimezone(timezone(timedelta(hours=5))), "2025-11-24 16:00:00Z"),
    ],
)
def test_a_cell_is_a_value_in_words(value: object, cell: str) -> None:
    assert table([{"x": value}], ["x"]).splitlines()[1] == cell


def test_a_cell_cannot_command_the_terminal() -> None:
    printed = table([{"model": "\x1b[2J\nrm\u202e"}], ["model"])

    assert printed.splitlines()[1:] == [
        "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}rm\N{REPLACEMENT CHARACTER}"
    ]


def test_things_are_rows_or_all_that_the_api_has(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing("x", [RoleIdentifier("owner")], AT)

    show([thing], ["name"], "table")
    show([thing], ["NAME"], "table", lambda each: {"NAME": each.name * 2})
    assert capsys.readouterr().out.splitlines() == ["NAME", "x", "NAME", "xx"]

    show([thing], ["name"], "json", lambda _: {})
    assert json.loads(capsys.readouterr().out) == [
        {"name": "x", "roles": ["owner"], "at": "2025-11-24T16:00:00.123456Z"}
    ]


def test_one_thing_has_a_line_for_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing("x", [RoleIdentifier("owner"), RoleIdentifier("auditor")])

    show_one(thing, "table")
    assert capsys.readouterr().out.splitlines() == ["FIELD  VALUE", "name   x", "roles  owner, auditor", "at     -"]

    show_one(thing, "json", lambda _: {})
    assert json.loads(capsys.readouterr().out)["name"] == "x"
