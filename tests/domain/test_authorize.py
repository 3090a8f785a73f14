"""The one question: levels, denials, scopes, reasons, and how long an answer takes."""

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.authorize import Decision, Object, Subject, authorize, beyond
from aibridge.domain.permission import ORGANIZATIONAL, PAIRS, Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import (
    AUDITOR,
    MEMBER,
    ORGANIZATION_ADMIN,
    ORGANIZATION_MEMBER,
    ORGANIZATION_ROLES,
    OWNER,
    SITE_ROLES,
    USER_ADMIN,
    CustomRole,
)
from aibridge.domain.scope import Scope, narrower

HERE, ELSEWHERE = uuid.UUID(int=1), uuid.UUID(int=2)
ME, OTHER = "mia", "ben"
CUSTOM = RoleIdentifier("crew", HERE)

built_in = st.sampled_from(
    [role.identifier for role in SITE_ROLES.values()]
    + [role.within(organization) for role in ORGANIZATION_ROLES.values() for organization in (HERE, ELSEWHERE)]
)
some_roles = st.frozensets(built_in, max_size=4)
organizational = st.sampled_from(sorted(pair for pair in PAIRS if pair[0] in ORGANIZATIONAL))
permissions = st.builds(
    lambda pair, negate: Permission(resource=pair[0], action=pair[1], negate=negate), organizational, st.booleans()
) | st.builds(Permission, resource=st.just(Resource.ANY), action=st.sampled_from(Action), negate=st.booleans())
lists = st.lists(permissions, max_size=4)
organizations = st.sampled_from([None, HERE, ELSEWHERE])
ids = st.sampled_from([None, "a", "b"])
questions = st.builds(
    lambda pair, organization_id, owner_id, object_id: (
        pair[1],
        Object(resource=pair[0], organization_id=organization_id, owner_id=owner_id, id=object_id),
    ),
    st.sampled_from(sorted(PAIRS)), organizations, st.sampled_from([None, ME, OTHER]), ids,
)  # fmt: skip
scopes = st.builds(
    Scope,
    allowed=st.frozensets(st.sampled_from(sorted(PAIRS)), max_size=20) | st.just(PAIRS),
    only=st.none() | st.frozensets(st.sampled_from(["a", "b"])),
)

Question = tuple[Action, Object]


def custom(*given: Permission, identifier: RoleIdentifier = CUSTOM) -> CustomRole:
    return CustomRole(identifier=identifier, permissions=given)


def somebody(*roles: RoleIdentifier, made: CustomRole | None = None) -> Subject:
    held = frozenset(roles) if made is None else frozenset((*roles, made.identifier))
    return Subject(actor_id=ME, roles=held, custom_roles=frozenset(() if made is None else (made,)))


def allow(resource: Resource, action: Action) -> Permission:
    return Permission(resource=resource, action=action)


def deny(resource: Resource, action: Action) -> Permission:
    return Permission(resource=resource, action=action, negate=True)


MINE_HERE = Object(resource=Resource.INTERCEPTION, organization_id=HERE, owner_id=ME)
GROUP_HERE = Object(resource=Resource.GROUP, organization_id=HERE)


@given(questions)
def test_who_has_no_role_may_do_nothing(question: Question) -> None:
    assert not authorize(somebody(), *question)


@given(some_roles, questions)
def test_what_no_role_grants_is_denied(roles: frozenset[RoleIdentifier], question: Question) -> None:
    apart = [authorize(somebody(role, *belonging(roles)), *question).allowed for role in roles]
    assert authorize(somebody(*roles), *question).allowed is any(apart)


def belonging(roles: frozenset[RoleIdentifier]) -> list[RoleIdentifier]:
    # A role that says nothing still shows which organizations one belongs to.
    return [RoleIdentifier("unknown", role.organization_id) for role in roles if role.is_organization_role]


@given(lists, organizational)
def test_a_denial_wins_on_its_level_whatever_else_is_granted(
    others: list[Permission], pair: tuple[Resource, Action]
) -> None:
    resource, action = pair
    what = Object(resource=resource, organization_id=HERE, owner_id=ME)
    for at in range(len(others) + 1):
        said = (*others[:at], deny(resource, action), *others[at:])
        subject = somebody(MEMBER.identifier, ORGANIZATION_ADMIN.within(HERE), made=custom(*said))
        assert not authorize(subject, action, what)


@given(some_roles, lists, permissions, questions)
def test_one_more_grant_never_takes_anything_away(
    roles: frozenset[RoleIdentifier], said: list[Permission], more: Permission, question: Question
) -> None:
    grant = allow(more.resource, more.action)
    before = authorize(somebody(*roles, made=custom(*said)), *question)
    after = authorize(somebody(*roles, made=custom(*said, grant)), *question)
    assert after.allowed >= before.allowed


@given(some_roles, built_in, questions)
def test_one_more_built_in_role_never_takes_anything_away(
    roles: frozenset[RoleIdentifier], more: RoleIdentifier, question: Question
) -> None:
    assert authorize(somebody(*roles, more), *question).allowed >= authorize(somebody(*roles), *question).allowed


@given(some_roles, lists, questions)
def test_a_custom_role_changes_nothing_beyond_its_organization(
    roles: frozenset[RoleIdentifier], said: list[Permission], question: Question
) -> None:
    _, what = question
    with_it = authorize(somebody(*roles, made=custom(*said)), *question).allowed
    without = authorize(somebody(*roles), *question).allowed
    if what.organization_id != HERE or what.resource not in ORGANIZATIONAL:
        # Belonging to the organization is what even an empty role changes: one's own things there are then in reach.
        empty = authorize(somebody(*roles, made=custom()), *question).allowed
        assert with_it == empty
        assert what.organization_id == HERE or with_it == without


@given(some_roles, lists, scopes, questions)
def test_a_scope_only_takes_away(
    roles: frozenset[RoleIdentifier], said: list[Permission], scope: Scope, question: Question
) -> None:
    subject = somebody(*roles, made=custom(*said))
    bounded = Subject(actor_id=ME, roles=subject.roles, custom_roles=subject.custom_roles, scope=scope)
    action, what = question
    expected = authorize(subject, *question).allowed and scope.admits((what.resource, action), what.id)
    assert authorize(bounded, *question).allowed is expected


@given(some_roles, scopes, scopes, questions)
def test_a_child_never_exceeds_its_creator(
    roles: frozenset[RoleIdentifier], parent: Scope, drawn: Scope, question: Question
) -> None:
    # Two scopes are seldom parent and child by chance: cut the second to the first.
    only = drawn.only if parent.only is None else parent.only & (drawn.only or parent.only)
    child = Scope(allowed=drawn.allowed & parent.allowed, only=only)
    assert narrower(parent, child)
    creator, created = (Subject(actor_id=ME, roles=roles, scope=scope) for scope in (parent, child))
    assert authorize(created, *question).allowed <= authorize(creator, *question).allowed


def test_the_wider_level_decides_first() -> None:
    ban = custom(deny(Resource.INTERCEPTION, Action.ANY))
    assert authorize(somebody(MEMBER.identifier, ORGANIZATION_MEMBER.within(HERE)), Action.CREATE, MINE_HERE)
    assert not authorize(somebody(MEMBER.identifier, made=ban), Action.CREATE, MINE_HERE)
    assert authorize(somebody(OWNER.identifier, made=ban), Action.CREATE, MINE_HERE)


def test_a_ban_in_one_organization_holds_there_only() -> None:
    ban = custom(deny(Resource.INTERCEPTION, Action.CREATE))
    subject = somebody(MEMBER.identifier, ORGANIZATION_MEMBER.within(ELSEWHERE), made=ban)
    elsewhere = Object(resource=Resource.INTERCEPTION, organization_id=ELSEWHERE, owner_id=ME)
    assert not authorize(subject, Action.CREATE, MINE_HERE)
    assert authorize(subject, Action.CREATE, elsewhere)


def test_who_left_an_organization_no_longer_reaches_what_was_theirs_there() -> None:
    assert not authorize(somebody(MEMBER.identifier, ORGANIZATION_MEMBER.within(ELSEWHERE)), Action.READ, MINE_HERE)


def test_a_custom_role_counts_only_if_it_is_held() -> None:
    made = custom(allow(Resource.GROUP, Action.READ))
    assert authorize(somebody(made=made), Action.READ, GROUP_HERE)
    other = custom(allow(Resource.GROUP, Action.READ), identifier=RoleIdentifier("crew", ELSEWHERE))
    for definitions in (frozenset[CustomRole](), frozenset((other,))):
        subject = Subject(actor_id=ME, roles=frozenset((CUSTOM,)), custom_roles=definitions)
        assert not authorize(subject, Action.READ, GROUP_HERE)
    assert not authorize(
        Subject(actor_id=ME, roles=frozenset(), custom_roles=frozenset((made,))), Action.READ, GROUP_HERE
    )


@pytest.mark.parametrize(("resource", "action"), [(Resource.ANY, Action.READ), (Resource.GROUP, Action.ANY)])
def test_nobody_may_do_what_does_not_exist(resource: Resource, action: Action) -> None:
    assert not authorize(somebody(OWNER.identifier), action, Object(resource=resource))


@pytest.mark.parametrize(
    ("subject", "action", "what", "expected"),
    [
        (
            somebody(AUDITOR.identifier), Action.READ, MINE_HERE,
            Decision(allowed=True, reason="the role auditor grants aibridge_interception:read everywhere"),
        ),
        (
            somebody(ORGANIZATION_ADMIN.within(HERE)), Action.UPDATE, GROUP_HERE,
            Decision(
                allowed=True,
                reason=f"the role organization-admin:{HERE} grants group:update within its organization",
            ),
        ),
        (
            somebody(MEMBER.identifier), Action.READ, Object(resource=Resource.USER, owner_id=ME),
            Decision(allowed=True, reason="the role member grants user:read over one's own"),
        ),
        (
            somebody(MEMBER.identifier, made=custom(deny(Resource.ANY, Action.CREATE))), Action.CREATE, MINE_HERE,
            Decision(
                allowed=False,
                reason=f"the role crew:{HERE} withholds aibridge_interception:create within its organization",
            ),
        ),
        (
            somebody(MEMBER.identifier, USER_ADMIN.identifier), Action.READ, Object(resource=Resource.AUDIT_LOG),
            Decision(allowed=False, reason="no role grants audit_log:read here; roles held: member, user-admin"),
        ),
        (
            somebody(), Action.READ, GROUP_HERE,
            Decision(allowed=False, reason="no role grants group:read here; roles held: none"),
        ),
        (
            Subject(actor_id=ME, roles=frozenset((OWNER.identifier,)), scope=Scope(allowed=frozenset())),
            Action.READ, GROUP_HERE,
            Decision(allowed=False, reason="the token's scope does not include group:read"),
        ),
        (
            Subject(
                actor_id=ME, roles=frozenset((OWNER.identifier,)), scope=Scope(allowed=PAIRS, only=frozenset("a"))
            ),
            Action.READ, GROUP_HERE,
            Decision(
                allowed=False, reason="the token's scope is for certain objects, and this is none of them"
            ),
        ),
    ],
)  # fmt: skip
def test_a_decision_says_why(subject: Subject, action: Action, what: Object, expected: Decision) -> None:
    decision = authorize(subject, action, what)
    assert decision == expected
    assert bool(decision) is expected.allowed


def test_a_custom_role_cannot_grant_what_its_maker_does_not_have() -> None:
    admin = somebody(ORGANIZATION_ADMIN.within(HERE))
    within = custom(allow(Resource.GROUP, Action.ANY), allow(Resource.INTERCEPTION, Action.READ))
    assert beyond(admin, within) == []
    assert beyond(admin, custom(allow(Resource.API_KEY, Action.ANY))) == [
        (Resource.API_KEY, Action.CREATE),
        (Resource.API_KEY, Action.UPDATE),
    ]
    assert beyond(admin, custom(deny(Resource.API_KEY, Action.ANY))) == []
    other = custom(allow(Resource.GROUP, Action.READ), identifier=RoleIdentifier("crew", ELSEWHERE))
    assert beyond(admin, other) == [(Resource.GROUP, Action.READ)]
    assert beyond(somebody(OWNER.identifier), custom(allow(Resource.ANY, Action.ANY))) == []
    assert beyond(somebody(MEMBER.identifier, ORGANIZATION_MEMBER.within(HERE)), within)


def test_a_decision_takes_at_most_five_microseconds() -> None:
    subject = somebody(
        MEMBER.identifier, ORGANIZATION_MEMBER.within(HERE), made=custom(allow(Resource.GROUP, Action.READ))
    )
    asked = [(Action.READ, MINE_HERE), (Action.READ, GROUP_HERE), (Action.READ, Object(resource=Resource.AUDIT_LOG))]
    rounds = 500
    best = min(timed(subject, asked, rounds) for _ in range(20)) / (rounds * len(asked))
    assert best <= 5e-6


def timed(subject: Subject, asked: list[Question], rounds: int) -> float:
    started = time.process_time()
    for _ in range(rounds):
        for action, what in asked:
            authorize(subject, action, what)
    return time.process_time() - started


def test_a_custom_roles_wildcard_ends_where_organizations_do() -> None:
    everything = custom(Permission(resource=Resource.ANY, action=Action.ANY))
    what = Object(resource=Resource.PRICE, organization_id=HERE)
    assert not authorize(somebody(made=everything), Action.READ, what)
    assert authorize(somebody(made=everything), Action.READ, Object(resource=Resource.GROUP, organization_id=HERE))
