"""Limits and prices in YAML that are wrong: what a refusal says."""

from pathlib import Path

import pytest
from limits_file import File

COUNTED = "a whole number from 1 to 1_000_000_000_000"
PATTERN = "1 to 256 characters, * for any text and ? for any one of them"
NAME = "1 to 64 of a-z, 0-9 and -, and neither concurrency nor token, which are options"
PRICE = "dollars per million tokens such as 1.25, at most 1_000_000"
FIELDS = "name, subject, only, organization, provider, model, unit, amount, window, burst, queue, mode"


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "limits.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit: []", "file FILE, line 1, key limit: unknown key; did you mean limits?; allowed: limits and prices"),
        ("limits: 5", f"file FILE, line 1, key limits is not a list; allowed: a list of mappings with {FIELDS}"),
        (
            "limits: {name: a}",
            f"file FILE, line 1, key limits is not a list; allowed: a list of mappings with {FIELDS}",
        ),
        ("limits:\n- 5", f"file FILE, line 2, limit 1: is not a mapping; allowed: a mapping with {FIELDS}"),
        (
            "limits:\n- {name: a, unit: concurrent, amount: 1}\n- unit: concurrent\n  amuont: 1",
            f"file FILE, line 4, limit 2, amuont: is no field; did you mean amount?; allowed: {FIELDS}",
        ),
        (
            "limits: [{name: a, amount: 1, amount: 1}]",
            'file FILE, line 1, limit "a", amount: is given twice; allowed: each field once',
        ),
        ("limits: [" + "{}, " * 1001 + "]", "file FILE, line 1, key limits has 1001 entries; allowed: at most 1000"),
        (
            "prices:\n- {input: 1}",
            f"file FILE, line 2, price 1, output: is missing; allowed: {PRICE}",
        ),
        (
            "prices:\n- {input: -1, output: 1}",
            f'file FILE, line 2, price 1, input: "-1" is not allowed; allowed: {PRICE}',
        ),
    ],
)
def test_what_is_no_list_of_limits_is_refused_with_the_place(file: File, text: str, message: str) -> None:
    assert file.refusal(text) == message


COUNT = {"name": "a", "unit": "requests", "amount": "5", "window": "1s"}
HELD = {"name": "a", "unit": "concurrent", "amount": "5"}
WINDOW = "a duration such as 10s, 1m or 30d, from 100ms to 366d"
TIMEOUT = "a duration such as 5s, from 1ms to 10m"


@pytest.mark.parametrize(
    ("limit", "field", "complaint", "allowed"),
    [
        (COUNT | {"name": "Team_1"}, "name", '"Team_1" is not allowed', NAME),
        (COUNT | {"name": "concurrency"}, "name", '"concurrency" is not allowed', NAME),
        (COUNT | {"name": "token"}, "name", '"token" is not allowed', NAME),
        (COUNT | {"name": "n" * 65}, "name", f'"{"n" * 65}" is not allowed', NAME),
        (
            COUNT | {"unit": "tokens"},
            "unit",
            '"tokens" is not allowed',
            "requests, input_tokens, output_tokens, total_tokens, cost, concurrent",
        ),
        (
            COUNT | {"unit": "cost"},
            "unit",
            '"cost" needs prices',
            "with a list of prices below the key prices, in this file",
        ),
        (
            COUNT | {"subject": "team"},
            "subject",
            '"team" is not allowed',
            "everyone, organization, user, token, address",
        ),
        (COUNT | {"mode": "off"}, "mode", '"off" is not allowed', "enforce, shadow"),
        (COUNT | {"amount": "0"}, "amount", '"0" is not allowed', COUNTED),
        (COUNT | {"amount": "1.5"}, "amount", '"1.5" is not allowed', COUNTED),
        (COUNT | {"amount": "1_000_000_000_001"}, "amount", '"1_000_000_000_001" is not allowed', COUNTED),
        (COUNT | {"amount": "[5]"}, "amount", "is not a single value", COUNTED),
        (COUNT | {"amount": ""}, "amount", '"" is not allowed', COUNTED),
        (
            COUNT | {"unit": "cost", "amount": "0.0000000001"},
            "amount",
            '"0.0000000001" is not allowed',
            "dollars such as 12.50, more than 0 and at most 1_000_000",
        ),
        (COUNT | {"burst": "0"}, "burst", '"0" is not allowed', COUNTED),
        (COUNT | {"window": "1ms"}, "window", '"1ms" is not allowed', WINDOW),
        (COUNT | {"window": "367d"}, "window", '"367d" is not allowed', WINDOW),
        (COUNT | {"window": "minute"}, "window", '"minute" is not allowed', WINDOW),
        (COUNT | {"model": "x" * 257}, "model", f'"{"x" * 257}" is not allowed', PATTERN),
        (COUNT | {"provider": ""}, "provider", '"" is not allowed', PATTERN),
        (
            COUNT | {"organization": ""},
            "organization",
            '"" is not allowed',
            "the id of an organization, 1 to 256 characters",
        ),
        (COUNT | {"only": "[ada]"}, "only", "is given to a limit for everyone", "a subject such as user beside it"),
        (
            COUNT | {"subject": "address", "only": "[10.0.0.1/8]"},
            "only",
            '"10.0.0.1/8" is not allowed',
            "networks such as 10.0.0.0/8 or fd00::/48, with no bits set beyond the prefix",
        ),
        (COUNT | {"subject": "user", "only": "[]"}, "only", "has 0 entries", f"1 to 1000 of: {PATTERN}"),
        (
            COUNT | {"queue": "{timeout: 1s}"},
            "queue",
            "is given to a limit on requests",
            "a queue with unit concurrent only",
        ),
        (
            HELD | {"window": "1s"},
            "window",
            "is given to a limit on what is in progress",
            "no window with unit concurrent",
        ),
        (HELD | {"burst": "1"}, "burst", "is given to a limit on what is in progress", "no burst with unit concurrent"),
        (HELD | {"queue": "5s"}, "queue", "is not a mapping", "a mapping with timeout, size"),
        (HELD | {"queue": "{size: 5}"}, "queue, timeout", "is missing", TIMEOUT),
        (HELD | {"queue": "{timeout: 0s}"}, "queue, timeout", '"0s" is not allowed', TIMEOUT),
        (
            HELD | {"queue": "{timeout: 1s, size: 0}"},
            "queue, size",
            '"0" is not allowed',
            "a whole number from 1 to 1_000_000",
        ),
        (HELD | {"queue": "{tiemout: 1s}"}, "queue, tiemout", "is no field; did you mean timeout?", "timeout, size"),
    ],
)
def test_a_wrong_field_is_refused_with_what_is_allowed(
    file: File, limit: dict[str, str], field: str, complaint: str, allowed: str
) -> None:
    lines = "".join(f"  {name}: {value}\n" for name, value in limit.items())
    line = list(limit).index(field.partition(",")[0]) + 3
    message = f'file FILE, line {line}, limit "{limit["name"]}", {field}: {complaint}; allowed: {allowed}'
    assert file.refusal(f"limits:\n-\n{lines}") == message


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("name", NAME),
        ("unit", "requests, input_tokens, output_tokens, total_tokens, cost, concurrent"),
        ("amount", COUNTED),
        ("window", WINDOW),
    ],
)
def test_a_missing_field_is_named(file: File, field: str, allowed: str) -> None:
    rest = ", ".join(f"{name}: {value}" for name, value in COUNT.items() if name != field)
    title = 'limit "a"' if field != "name" else "limit 1"
    assert (
        file.refusal(f"limits: [{{{rest}}}]") == f"file FILE, line 1, {title}, {field}: is missing; allowed: {allowed}"
    )


def test_two_limits_cannot_share_a_name(file: File) -> None:
    one = "{name: a, unit: concurrent, amount: 1}"
    assert file.refusal(f"limits:\n- {one}\n- {one}") == (
        'file FILE, line 3, limit "a", name: "a" is the name of another limit; allowed: a name of its own'
    )
