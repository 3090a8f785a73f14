"""Scopes: what they admit, their names, and that a child is never wider than its parent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.permission import PAIRS, Action, Pair, Resource
from aibridge.domain.scope import EVERYTHING, Scope, narrower, parse

READ_LIMIT = (Resource.LIMIT, Action.READ)
ALL = sorted(PAIRS)
IDS = ["a", "b", "c", "d"]

some = st.frozensets(st.sampled_from(ALL), max_size=8) | st.just(PAIRS)
scopes = st.builds(Scope, allowed=some, only=st.none() | st.frozensets(st.sampled_from(IDS)))


def admitted(scope: Scope) -> set[tuple[Pair, str | None]]:
    # "z" stands for the ids that no list has.
    return {(pair, object_id) for pair in ALL for object_id in (*IDS, "z", None) if scope.admits(pair, object_id)}


def test_everything_bounds_nothing() -> None:
    assert all(EVERYTHING.admits(pair, object_id) for pair in PAIRS for object_id in ("a", None))


def test_a_scope_admits_what_it_names_and_nothing_else() -> None:
    scope = Scope(allowed=frozenset((READ_LIMIT,)))
    assert {pair for pair in PAIRS if scope.admits(pair, None)} == {READ_LIMIT}


def test_an_allow_list_admits_its_objects_and_neither_others_nor_new_ones() -> None:
    scope = Scope(allowed=PAIRS, only=frozenset("a"))
    assert scope.admits(READ_LIMIT, "a")
    assert not scope.admits(READ_LIMIT, "b")
    assert not scope.admits(READ_LIMIT, None)
    assert not any(Scope(allowed=PAIRS, only=frozenset()).admits(pair, "a") for pair in PAIRS)


@given(scopes, scopes)
def test_a_scope_is_narrower_exactly_if_it_admits_nothing_more(parent: Scope, child: Scope) -> None:
    if narrower(parent, child):
        assert admitted(child) <= admitted(parent)
    elif child.allowed and child.only != frozenset():
        assert not admitted(child) <= admitted(parent)


@given(scopes, scopes, scopes)
def test_grandchildren_are_narrower_too(one: Scope, two: Scope, three: Scope) -> None:
    assert narrower(one, one)
    assert narrower(EVERYTHING, one)
    if narrower(one, two) and narrower(two, three):
        assert narrower(one, three)


def test_a_child_cannot_drop_the_list_nor_add_to_it() -> None:
    parent = Scope(allowed=PAIRS, only=frozenset("ab"))
    assert narrower(parent, Scope(allowed=PAIRS, only=frozenset("a")))
    assert not narrower(parent, Scope(allowed=PAIRS))
    assert not narrower(parent, Scope(allowed=PAIRS, only=frozenset("abc")))


def test_scopes_have_names() -> None:
    assert parse(["all"]) == parse(["coder:all"]) == parse(["all", "limit:read"]) == EVERYTHING
    assert parse(["limit:read"]).allowed == {READ_LIMIT}
    both = parse(["deployment_config:*", "limit:read"], only=["a"])
    config = {(Resource.DEPLOYMENT_CONFIG, Action.READ), (Resource.DEPLOYMENT_CONFIG, Action.UPDATE)}
    assert both == Scope(allowed=frozenset({READ_LIMIT} | config), only=frozenset("a"))
    assert parse(["all"], only=[]).only == frozenset()


@pytest.mark.parametrize(
    "name", ["", "*", "*:*", "*:read", "limit", "limit:", "limit:assign", "x:read", "limit:read:x"]
)
def test_an_unknown_scope_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no scope"):
        parse(["all", name])


def test_a_scope_of_no_names_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        parse([])
