"""What is sent, read into structs: everything that is wrong is said at once, with its place, and nothing breaks."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest

from aibridge.contract.shapes import Body, Instant, Line, Page, Parameters
from aibridge.control.errors import InvalidBody, InvalidQuery
from aibridge.control.reading import body_of, query_of
from aibridge.domain.errors import BadRequest


class Wheel(Body, frozen=True, kw_only=True):
    size: Annotated[int, msgspec.Meta(ge=10, le=30)]


class Bicycle(Body, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
    wheels: tuple[Wheel, ...] = ()
    weight: float = 1.0
    gears: int = 1
    notes: dict[str, int] = msgspec.field(default_factory=dict)
    bell: bool = False


class Kept(Body, frozen=True, kw_only=True):
    """What has something to say of its fields together."""

    least: int
    most: int

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("least is more than most")


class Asked(Parameters, frozen=True, kw_only=True):
    count: int | None = None
    bell: bool = False
    name: Line | None = None
    since: Instant | None = None


def wrong(content: bytes | dict[str, Any], wanted: type[msgspec.Struct] = Bicycle) -> dict[str, str]:
    """What is said of a body, by field."""
    with pytest.raises(InvalidBody) as raised:
        body_of(content if isinstance(content, bytes) else msgspec.json.encode(content), wanted)
    found = {problem.field: problem.detail for problem in raised.value.validations}
    assert len(found) == len(raised.value.validations)
    return found


def refused(*parameters: tuple[str, str], wanted: type[msgspec.Struct] = Asked) -> dict[str, str]:
    """What is said of parameters, by field."""
    with pytest.raises(InvalidQuery) as raised:
        query_of(parameters, wanted)
    return {problem.field: problem.detail for problem in raised.value.validations}


def test_a_body_is_read_into_its_struct() -> None:
    content = b'{"name": "a\\u00e9", "wheels": [{"size": 20}], "weight": 2, "notes": {"x": 1}, "bell": true}'
    assert body_of(content, Bicycle) == Bicycle(
        name="a\xe9", wheels=(Wheel(size=20),), weight=2.0, notes={"x": 1}, bell=True
    )


def test_every_problem_is_told_at_once() -> None:
    assert wrong({"wheels": 5, "weight": "heavy", "gears": 1.5, "color": "red", "bell": "true"}) == {
        "color": "is not known here; allowed are name, wheels, weight, gears, notes, bell",
        "name": "is missing",
        "wheels": "Expected `array`, got `int`",
        "weight": "Expected `float`, got `str`; it is 'heavy'",
        "gears": "Expected `int`, got `float`",
        "bell": "Expected `bool`, got `str`; it is 'true'",
    }


@pytest.mark.parametrize(
    ("values", "field", "detail"),
    [
        ({"wheels": [{"size": 20}, {"size": 5}]}, "wheels[1].size", "Expected `int` >= 10"),
        ({"wheels": [{}]}, "wheels[0]", "Object missing required field `size`"),
        ({"wheels": [{"size": 20, "spokes": 3}]}, "wheels[0]", "Object contains unknown field `spokes`"),
        ({"notes": {"x": "y"}}, "notes[...]", "Expected `int`, got `str`"),
        ({"name": None}, "name", "Expected `str`, got `null`"),
        ({"name": ""}, "name", "Expected `str` of length >= 1; it is ''"),
    ],
)
def test_a_problem_within_is_told_with_its_place(values: dict[str, Any], field: str, detail: str) -> None:
    assert wrong({"name": "x"} | values) == {field: detail}


def test_a_long_value_is_not_said_back() -> None:
    assert wrong({"name": "canary" * 20}) == {"name": "Expected `str` of length <= 8"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"name": "x"} {}',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\x00"}',
        b'{"weight": NaN}',
        b'{"weight": 1e999}',
        b'{"gears": ' + b"9" * 5000 + b"}",
        b"[" * 500_000,
        b'{"name":' * 100_000,
    ],
    ids=lambda content: f"{content[:20]!r} of {len(content)}",
)
def test_what_is_no_json_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(InvalidBody, match="The body is not JSON"):
        body_of(content, Bicycle)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"x"', b"5", b'[{"name": "x"}]'])
def test_what_is_no_object_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(InvalidBody, match="must be a JSON object"):
        body_of(content, Bicycle)


def test_a_number_may_be_huge_and_a_text_may_have_a_nul_in_it() -> None:
    read = body_of(b'{"name": "a\\u0000b", "gears": ' + b"9" * 40 + b"}", Bicycle)
    assert (read.name, read.gears) == ("a\0b", int("9" * 40))
    assert wrong({"name": "x", "wheels": [{"size": 10**40}]}) == {"wheels[0].size": "Expected `int` <= 30"}


def test_what_fields_say_together_is_said_of_none_of_them() -> None:
    assert body_of(b'{"least": 1, "most": 2}', Kept) == Kept(least=1, most=2)
    assert wrong({"least": 3, "most": 2}, Kept) == {"": "least is more than most"}


def test_parameters_are_plain_digits_words_and_instants() -> None:
    asked = query_of(
        [("count", "-7"), ("bell", "1"), ("name", "5"), ("since", "2026-11-29T00:00:00+01:00"), ("name2", "")], Asked
    )
    since = datetime(2026, 11, 28, 23, tzinfo=UTC)
    assert asked == Asked(count=-7, bell=True, name="5", since=since)


def test_every_parameter_that_is_wrong_is_told_at_once() -> None:
    found = refused(("count", "1.5"), ("bell", "on"), ("since", "2026-11-29T00:00:00"), ("color", "red"))
    assert found == {
        "color": "is not known here; allowed are count, bell, name, since",
        "count": "Expected `int`, got `str`; it is '1.5'",
        "bell": "Expected `bool`, got `str`; it is 'on'",
        "since": "Expected `datetime` with a timezone component; it is '2026-11-29T00:00:00'",
    }


@pytest.mark.parametrize("count", ["1_0", "٣", "0x10", "1e3", "+1", "true", "99999999999", "9" * 5000])
def test_a_number_is_a_few_plain_digits(count: str) -> None:
    assert [*refused(("count", count))] == ["count"]


def test_a_parameter_is_given_once() -> None:
    assert refused(("name", "a"), ("name", "a")) == {"name": "is given more than once"}


def test_a_token_among_the_parameters_is_none_of_them() -> None:
    assert query_of([("coder_session_token", "aib_canary"), ("count", "1")], Asked) == Asked(count=1)


def test_there_is_one_way_of_paging_at_a_time() -> None:
    assert query_of([("after_id", "x"), ("offset", "0")], Page) == Page(after_id="x")
    with pytest.raises(BadRequest, match="both after_id and offset"):
        query_of([("after_id", "x"), ("offset", "1")], Page)
    assert [*refused(("limit", "0"), ("offset", "-1"), wanted=Page)] == ["limit", "offset"]
