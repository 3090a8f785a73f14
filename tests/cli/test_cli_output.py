"""How rows are printed."""

import json

from aibridge.cli.output import Row, instant, table
from aibridge.cli.output import json as as_json

MICROSECONDS = 1_764_000_000_123_456


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows: list[Row] = [{"id": "a", "last_four": "wxyz"}, {"id": "longer", "last_four": None}]

    assert table(rows, ["id", "last_four"]).splitlines() == ["ID      LAST FOUR", "a       wxyz", "longer  -"]


def test_a_table_without_rows_is_its_heading() -> None:
    assert table([], ["id", "name"]) == "ID  NAME"


def test_an_instant_is_utc_in_both_forms() -> None:
    assert table([{"at": instant(MICROSECONDS)}], ["at"]).splitlines()[1] == "2025-11-24 16:00:00Z"
    assert json.loads(as_json({"at": instant(MICROSECONDS)})) == {"at": "2025-11-24T16:00:00.123456Z"}
    assert instant(None) is None


def test_a_cell_cannot_command_the_terminal() -> None:
    printed = table([{"model": "\x1b[2J\nrm\u202e"}], ["model"])

    assert printed.splitlines()[1:] == [
        "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}rm\N{REPLACEMENT CHARACTER}"
    ]
