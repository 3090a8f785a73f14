"""Rules from elsewhere than a file: what may be one is the same, and what may be one stays what it is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.limits.entries import EntryError
from aibridge.limits.written import checked

_PATTERNS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
_WINDOWS = st.decimals(min_value="0.1", max_value=366 * 86400, places=3).map(float)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    unit, subject = draw(st.sampled_from(Unit)), draw(st.sampled_from(Subject))
    amounts = st.integers(1, 10**15 if unit is Unit.COST else 10**12)
    networks = st.sampled_from(["10.0.0.0/8", "fd00::/48", "192.0.2.1/32"])
    only = st.lists(networks if subject is Subject.ADDRESS else _PATTERNS, max_size=3).map(tuple)
    rule = Rule(
        name=draw(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True).filter(lambda name: name not in TAKEN)),
        unit=unit,
        amount=draw(amounts),
        window=0.0 if unit is Unit.CONCURRENT else draw(_WINDOWS),
        burst=None if unit is Unit.CONCURRENT else draw(st.none() | amounts),
        subject=subject,
        only=() if subject is Subject.EVERYONE else draw(only),
        organization=draw(st.none() | st.text(max_size=5)),
        provider=draw(_PATTERNS),
        model=draw(_PATTERNS),
        mode=draw(st.sampled_from(Mode)),
    )
    if unit is not Unit.CONCURRENT or draw(st.booleans()):
        return rule
    timeout = draw(st.decimals(min_value="0.001", max_value=600, places=3).map(float))
    return Rule(
        **{field: getattr(rule, field) for field in rule.__struct_fields__ if not field.startswith("queue_")},
        queue_timeout=timeout,
        queue_size=draw(st.integers(1, 10**6)),
    )


TAKEN = ("concurrency", "token")


@given(rules())
def test_a_rule_that_a_file_could_have_stays_what_it_is(rule: Rule) -> None:
    assert checked(rule) == rule


@pytest.mark.parametrize("field", ["amount", "burst"])
@pytest.mark.parametrize("nanos", [0, -5, 10**15 + 1])
def test_complaints_of_cost_are_in_nano_dollars(field: str, nanos: int) -> None:
    rule = Rule(name="spend", unit=Unit.COST, amount=1, burst=1, window=60.0)
    with pytest.raises(EntryError) as raised:
        checked(msgspec.structs.replace(rule, **{field: nanos}))
    assert (raised.value.field, raised.value.complaint) == (
        field,
        f'"{nanos}" is not allowed; allowed: nano-dollars, a whole number from 1 to 1_000_000_000_000_000',
    )
