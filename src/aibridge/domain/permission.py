"""What may be done to what, and what a role says about it.

A permission is given on a level, which says how far it reaches: to the whole site, to what belongs to one
organization, or to what is one's own. Levels are asked in that order and the first that says anything decides; on one
level, a permission that denies wins over all that allow.

The names are those of the API, where custom roles and the scopes of tokens are written with them.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

import msgspec


class Level(StrEnum):
    """How far a permission reaches, the first to decide first."""

    SITE = "site"
    """Everything."""
    ORGANIZATION = "organization"
    """What belongs to the organization that the role is held in."""
    USER = "user"
    """What is one's own: of no organization, or of one that one belongs to."""


class Resource(StrEnum):
    """A kind of thing. Those of no organization (`user`, `deployment_config`) only site roles reach."""

    ANY = "*"
    INTERCEPTION = "aibridge_interception"
    """The record of a call, which is created by making the call. Nobody changes it."""
    USER = "user"
    """Owned by oneself: `update` is what an administrator does (status, name), `update_personal` what one does."""
    SERVICE_ACCOUNT = "service_account"
    """A user that is nobody. Whoever may update one may make its tokens; nobody but owners makes a person's."""
    ORGANIZATION = "organization"
    ORGANIZATION_MEMBER = "organization_member"
    """A membership, owned by the member."""
    GROUP = "group"
    """With its members."""
    ASSIGN_ROLE = "assign_role"
    """Site roles, to read and to give. Which ones is said in `roles.ASSIGNABLE`."""
    ASSIGN_ORG_ROLE = "assign_org_role"
    """Roles in an organization, to read and to give; custom ones are made here."""
    API_KEY = "api_key"
    """Tokens of ours."""
    PROVIDER = "ai_provider"
    """With its keys, which are written and never read."""
    PRICE = "ai_model_price"
    LIMIT = "limit"
    """A rule of the overload engine. How it stands for somebody is that person's own."""
    AUDIT_LOG = "audit_log"
    """Written by every change and by nobody: there is only reading it."""
    DEPLOYMENT_CONFIG = "deployment_config"
    """Options and appearance."""
    DEPLOYMENT_STATS = "deployment_stats"
    """Insights, metrics, health."""


class Action(StrEnum):
    """What is done to it."""

    ANY = "*"
    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    READ_PERSONAL = "read_personal"
    """See what only concerns the person: address, sign-ins, preferences."""
    UPDATE_PERSONAL = "update_personal"
    """Change it: full name, password, preferences; never the status."""
    ASSIGN = "assign"
    UNASSIGN = "unassign"


Pair = tuple[Resource, Action]
"""One thing that can be done, with no wildcard in it."""

_KEPT = frozenset((Action.CREATE, Action.READ, Action.UPDATE, Action.DELETE))
_GIVEN = frozenset((Action.READ, Action.ASSIGN, Action.UNASSIGN))

ACTIONS: Mapping[Resource, frozenset[Action]] = {
    Resource.INTERCEPTION: frozenset((Action.CREATE, Action.READ)),
    Resource.USER: _KEPT | {Action.READ_PERSONAL, Action.UPDATE_PERSONAL},
    Resource.SERVICE_ACCOUNT: _KEPT,
    Resource.ORGANIZATION: _KEPT,
    Resource.ORGANIZATION_MEMBER: _KEPT,
    Resource.GROUP: _KEPT,
    Resource.ASSIGN_ROLE: _GIVEN,
    Resource.ASSIGN_ORG_ROLE: _GIVEN | _KEPT,
    Resource.API_KEY: _KEPT,
    Resource.PROVIDER: _KEPT,
    Resource.PRICE: frozenset((Action.READ, Action.UPDATE)),
    Resource.LIMIT: _KEPT,
    Resource.AUDIT_LOG: frozenset((Action.READ,)),
    Resource.DEPLOYMENT_CONFIG: frozenset((Action.READ, Action.UPDATE)),
    Resource.DEPLOYMENT_STATS: frozenset((Action.READ,)),
}
"""What can be done to each kind of thing: all else does not exist."""

PAIRS: frozenset[Pair] = frozenset((resource, action) for resource, actions in ACTIONS.items() for action in actions)
"""All that can be done."""

ORGANIZATIONAL = frozenset(
    (
        Resource.INTERCEPTION,
        Resource.SERVICE_ACCOUNT,
        Resource.ORGANIZATION,
        Resource.ORGANIZATION_MEMBER,
        Resource.GROUP,
        Resource.ASSIGN_ORG_ROLE,
        Resource.API_KEY,
        Resource.PROVIDER,
        Resource.LIMIT,
        Resource.AUDIT_LOG,
    )
)
"""What can belong to an organization; an organization belongs to itself."""


class Permission(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, forbid_unknown_fields=True):
    """Allows an action on a kind of thing, or denies it. `*` stands for every one.

    Raises:
        ValueError: there is no such action on such a thing.
    """

    resource: Resource
    action: Action
    negate: bool = False

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ValueError(f"there is no {self}: {self.resource} knows {', '.join(sorted(ACTIONS[self.resource]))}")

    @property
    def pairs(self) -> frozenset[Pair]:
        """All that it speaks of, its wildcards written out."""
        return pairs(self.resource, self.action)

    def __str__(self) -> str:
        return f"{'!' if self.negate else ''}{self.resource}:{self.action}"


@cache
def pairs(resource: Resource, action: Action) -> frozenset[Pair]:
    """All that `resource:action` speaks of, its wildcards written out; nothing where there is no such action."""
    return frozenset(pair for pair in PAIRS if resource in (Resource.ANY, pair[0]) and action in (Action.ANY, pair[1]))
