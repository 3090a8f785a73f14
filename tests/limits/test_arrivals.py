"""Files of arrivals: what they may look like, and what is said of those that are wrong. And the day that is made up."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aibridge.limits.arrivals import Arrival, ArrivalError, read_arrivals
from aibridge.limits.synthetic import DAY, ELEPHANT, NIGHTLY, PEOPLE, synthetic

LINE: dict[str, Any] = {
    "at": "2026-11-24T09:00:00Z",
    "actor": "ada",
    "provider": "anthropic",
    "model": "claude-sonnet-5",
    "input_tokens": 1200,
    "output_tokens": 350,
    "duration": 4.2,
}
AT = 1_795_510_800.0


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *lines: str | dict[str, Any]) -> Path:
        path = tmp_path / name
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def csv_line(row: dict[str, Any]) -> str:
    return ",".join(str(value) for value in row.values())


def complaint(path: Path) -> str:
    with pytest.raises(ArrivalError) as caught:
        read_arrivals(path)
    return str(caught.value)


def test_both_forms_say_the_same(file: Callable[..., Path]) -> None:
    row = LINE | {"organization": "web", "token": "t1"}
    expected = Arrival(
        at=AT,
        actor="ada",
        organization="web",
        token="t1",
        provider="anthropic",
        model="claude-sonnet-5",
        input_tokens=1200,
        output_tokens=350,
        duration=4.2,
    )
    assert read_arrivals(file("calls.jsonl", row)) == [expected]
    assert read_arrivals(file("calls.CSV", ",".join(row), csv_line(row))) == [expected]
    assert read_arrivals(file("bom.csv", "\ufeff" + ",".join(row), csv_line(row))) == [expected]


@pytest.mark.parametrize("at", ["2026-11-24T10:00:00+01:00", AT, int(AT)])
def test_an_instant_has_several_spellings(file: Callable[..., Path], at: object) -> None:
    row = LINE | {"at": at}
    assert read_arrivals(file("calls.jsonl", row))[0].at == AT
    assert read_arrivals(file("calls.csv", ",".join(row), csv_line(row)))[0].at == AT


def test_organization_and_token_may_be_absent_and_empty_lines_do_not_count(file: Callable[..., Path]) -> None:
    (arrival,) = read_arrivals(file("calls.jsonl", "", LINE, "  "))
    assert (arrival.organization, arrival.token) == ("", "")
    assert read_arrivals(file("empty.jsonl")) == read_arrivals(file("empty.csv")) == []


def test_a_log_in_the_order_of_endings_is_put_into_that_of_time(file: Callable[..., Path]) -> None:
    lines = [LINE | {"at": AT + second, "actor": f"a{second}"} for second in (3, 1, 2)]
    assert [arrival.actor for arrival in read_arrivals(file("calls.jsonl", *lines))] == ["a1", "a2", "a3"]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("at", "yesterday", "'yesterday'"),
        ("at", "2026-11-24T09:00:00", "'2026-11-24T09:00:00'"),
        ("at", -1, "-1"),
        ("actor", "", "''"),
        ("organization", 7, "7"),
        ("token", "x" * 300, f"'{'x' * 59}…"),
        ("provider", None, "None"),
        ("model", ["a"], "['a']"),
        ("input_tokens", "many", "'many'"),
        ("input_tokens", -1, "-1"),
        ("output_tokens", 1.5, "1.5"),
        ("output_tokens", 10**13, "10000000000000"),
        ("duration", -0.5, "-0.5"),
        ("duration", "4s", "'4s'"),
    ],
)
def test_a_wrong_value_is_named_with_file_line_field_and_what_is_allowed(
    file: Callable[..., Path], field: str, value: object, shown: str
) -> None:
    path = file("calls.jsonl", LINE, LINE | {field: value})
    assert complaint(path).startswith(f"{path}, line 2: {field} is {shown}; allowed: ")


@pytest.mark.parametrize(("field", "value"), [("at", "nan"), ("input_tokens", "1.5"), ("duration", "inf")])
def test_csv_is_read_as_strictly(file: Callable[..., Path], field: str, value: str) -> None:
    path = file("calls.csv", ",".join(LINE), csv_line(LINE), csv_line(LINE | {field: value}))
    assert complaint(path).startswith(f"{path}, line 3: {field} is '{value}'; allowed: ")


def test_what_is_missing_or_not_known_is_named(file: Callable[..., Path]) -> None:
    short = {name: value for name, value in LINE.items() if name != "model"}
    path = file("calls.jsonl", short)
    assert complaint(path) == f"{path}, line 1: model is missing; allowed: a name of 1 to 256 characters"
    assert "line 1: the field 'organisation' is not known; allowed: at, actor, organization" in complaint(
        file("calls.jsonl", LINE | {"organisation": "web"})
    )
    assert "line 2: duration is missing" in complaint(file("calls.csv", ",".join(LINE), "0,ada,p,m,1,1"))
    assert "line 2: a value without a name is not known" in complaint(
        file("calls.csv", ",".join(LINE), csv_line(LINE) + ",x")
    )


@pytest.mark.parametrize("line", ["{", "[1]", "null", '{"at": 1,}', '"text"'])
def test_a_line_that_is_no_object_is_shown(file: Callable[..., Path], line: str) -> None:
    assert f"line 1 is '{line}'; allowed: a JSON object with at, actor, provider" in complaint(file("c.jsonl", line))


def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none.jsonl") == f"cannot read {tmp_path}/none.jsonl: No such file or directory"
    for name in ("binary.csv", "binary.jsonl"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00garbage\n")
        assert "\n" not in complaint(tmp_path / name)
    (tmp_path / "quotes.csv").write_text(",".join(LINE) + '\n"open')
    assert "unexpected end of data" in complaint(tmp_path / "quotes.csv")


def test_a_day_is_made_up_the_same_from_the_same_seed() -> None:
    assert list(synthetic(1, 500)) == list(synthetic(1, 500))
    assert list(synthetic(1, 500)) != list(synthetic(2, 500))


@pytest.mark.parametrize("calls", [1, 2, 7, 500, 3001])
def test_a_day_has_as_many_calls_as_asked_for_in_the_order_of_time(calls: int) -> None:
    day = list(synthetic(1, calls))
    assert len(day) == calls
    assert all(earlier.at <= later.at for earlier, later in pairwise(day))
    assert all(DAY <= arrival.at < DAY + 86400 and arrival.duration > 0 for arrival in day)


def test_a_day_has_mice_an_elephant_and_a_nightly_batch() -> None:
    calls = Counter(arrival.actor for arrival in synthetic(1, 10_000))
    assert len(calls) == PEOPLE + 2
    assert calls.pop(ELEPHANT) == 2500
    assert calls.pop(NIGHTLY) == 1500
    assert set(calls.values()) == {300}


def test_no_day_has_less_than_one_call() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        synthetic(1, 0)
