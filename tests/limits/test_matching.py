"""Patterns: what matches, and that callers cannot make it slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.limits.matching import matching, within


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("*", "any\nthing", True),
        ("gpt-5", "gpt-5", True),
        ("gpt-5", "gpt-5.1", False),
        ("gpt-5", "openai/gpt-5", False),
        ("gpt-5*", "gpt-5.1-codex", True),
        ("claude-*-4?", "claude-opus-45", True),
        ("claude-*-4?", "claude-opus-4", False),
        ("GPT-5", "gpt-5", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("[!a]", "b", False),
        ("m[", "m[", True),
        ("a|b", "a", False),
        ("(a)", "(a)", True),
    ],
)
def test_only_the_star_and_the_question_mark_are_special(pattern: str, name: str, matches: bool) -> None:
    assert matching([pattern])(name) is matches


def test_one_of_several_is_enough() -> None:
    matches = matching(["alice", "ci-*"])
    assert [matches(name) for name in ("alice", "ci-7", "bob", "alice2")] == [True, True, False, False]


@given(name=st.text(max_size=20))
def test_a_name_matches_itself_unless_it_has_wildcards(name: str) -> None:
    assert matching([name])(name)


def test_a_hostile_name_takes_no_time() -> None:
    matches = matching(["*a*a*a*a*a*a*a*a*b"])
    began = time.perf_counter()
    assert not matches("a" * 256)
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("11.0.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("fd00:0:0:5::/64", True),
        ("fd00:0:1:5::/64", False),
        ("fd00::/8", False),
        ("somewhere", False),
        ("", False),
    ],
)
def test_an_address_is_within_its_networks(address: str, inside: bool) -> None:
    assert within(["10.0.0.0/8", "192.0.2.7/32", "fd00::/48"])(address) is inside
