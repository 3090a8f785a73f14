"""Who may do what: every role, every action on every resource, one's own and others', here and in other organizations.

The table is written out, not derived: it is what is promised. A cell says where a role allows the row's action:

    all    on everything, whosever it is
    org    on everything of the organization it is held in
    own    on one's own, where it is of no organization or of one that one belongs to
    mine   on one's own of no organization: the role alone belongs to none
    -      nowhere

`person` is who most people are: a member who belongs to an organization.
"""

import uuid

import pytest

from aibridge.domain.authorize import Object, Subject, authorize
from aibridge.domain.permission import PAIRS, Action, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import ORGANIZATION_ROLES, SITE_ROLES

HERE = uuid.UUID("11111111-1111-4111-8111-111111111111")
ELSEWHERE = uuid.UUID("22222222-2222-4222-8222-222222222222")
ME, OTHER = "mia", "ben"

PLACES = {
    "mine, of none": (None, ME),
    "another's, of none": (None, OTHER),
    "nobody's, of none": (None, None),
    "mine, here": (HERE, ME),
    "another's, here": (HERE, OTHER),
    "nobody's, here": (HERE, None),
    "mine, elsewhere": (ELSEWHERE, ME),
    "another's, elsewhere": (ELSEWHERE, OTHER),
    "nobody's, elsewhere": (ELSEWHERE, None),
}
CELLS = {
    "all": set(PLACES),
    "org": {"mine, here", "another's, here", "nobody's, here"},
    "own": {"mine, of none", "mine, here"},
    "mine": {"mine, of none"},
    "-": set(),
}

# fmt: off
COLUMNS = {
    "owner": ["owner"], "member": ["member"], "auditor": ["auditor"], "user-admin": ["user-admin"],
    "template-admin": ["template-admin"],
    "person": ["member", f"organization-member:{HERE}"],
    "org-admin": [f"organization-admin:{HERE}"], "org-member": [f"organization-member:{HERE}"],
    "org-auditor": [f"organization-auditor:{HERE}"], "org-user-admin": [f"organization-user-admin:{HERE}"],
    "org-template-admin": [f"organization-template-admin:{HERE}"],
}
TABLE = """
                                  site                                        person  organization
resource             action           owner member auditor users   templ.    person  admin member auditor users   templ.

aibridge_interception create          all   mine   -       -       -         own     -     -      -       -       -
aibridge_interception read            all   mine   all     -       -         own     org   -      org     -       -

user                  create          all   -      -       all     -         -       -     -      -       -       -
user                  read            all   mine   all     all     -         own     -     -      -       -       -
user                  update          all   -      -       all     -         -       -     -      -       -       -
user                  delete          all   -      -       all     -         -       -     -      -       -       -
user                  read_personal   all   mine   -       all     -         own     -     -      -       -       -
user                  update_personal all   mine   -       all     -         own     -     -      -       -       -

service_account       create          all   -      -       all     -         -       org   -      -       -       -
service_account       read            all   -      all     all     -         -       org   -      org     -       -
service_account       update          all   -      -       all     -         -       org   -      -       -       -
service_account       delete          all   -      -       all     -         -       org   -      -       -       -

organization          create          all   -      -       -       -         -       -     -      -       -       -
organization          read            all   -      all     all     all       org     org   org    org     org     org
organization          update          all   -      -       -       -         -       org   -      -       -       -
organization          delete          all   -      -       -       -         -       org   -      -       -       -

organization_member   create          all   -      -       all     -         -       org   -      -       org     -
organization_member   read            all   mine   all     all     all       own     org   -      org     org     org
organization_member   update          all   -      -       all     -         -       org   -      -       org     -
organization_member   delete          all   -      -       all     -         -       org   -      -       org     -

group                 create          all   -      -       all     -         -       org   -      -       org     -
group                 read            all   -      all     all     all       -       org   -      org     org     org
group                 update          all   -      -       all     -         -       org   -      -       org     -
group                 delete          all   -      -       all     -         -       org   -      -       org     -

assign_role           read            all   all    all     all     -         all     -     -      -       -       -
assign_role           assign          all   -      -       all     -         -       -     -      -       -       -
assign_role           unassign        all   -      -       all     -         -       -     -      -       -       -

assign_org_role       read            all   -      all     all     -         org     org   org    org     org     -
assign_org_role       assign          all   -      -       all     -         -       org   -      -       org     -
assign_org_role       unassign        all   -      -       all     -         -       org   -      -       org     -
assign_org_role       create          all   -      -       -       -         -       org   -      -       -       -
assign_org_role       update          all   -      -       -       -         -       org   -      -       -       -
assign_org_role       delete          all   -      -       -       -         -       org   -      -       -       -

api_key               create          all   mine   -       -       -         own     -     -      -       -       -
api_key               read            all   mine   -       -       -         own     org   -      -       -       -
api_key               update          all   mine   -       -       -         own     -     -      -       -       -
api_key               delete          all   mine   -       -       -         own     org   -      -       -       -

ai_provider           create          all   -      -       -       -         -       org   -      -       -       -
ai_provider           read            all   -      all     -       all       -       org   -      org     -       org
ai_provider           update          all   -      -       -       -         -       org   -      -       -       -
ai_provider           delete          all   -      -       -       -         -       org   -      -       -       -

ai_model_price        read            all   -      all     -       -         -       -     -      -       -       -
ai_model_price        update          all   -      -       -       -         -       -     -      -       -       -

limit                 create          all   -      -       -       -         -       org   -      -       -       -
limit                 read            all   mine   all     -       all       own     org   -      org     -       org
limit                 update          all   -      -       -       -         -       org   -      -       -       -
limit                 delete          all   -      -       -       -         -       org   -      -       -       -

audit_log             read            all   -      all     -       -         -       org   -      org     -       -

deployment_config     read            all   -      all     -       -         -       -     -      -       -       -
deployment_config     update          all   -      -       -       -         -       -     -      -       -       -
deployment_stats      read            all   -      all     -       -         -       -     -      -       -       -
"""
# fmt: on

ROWS = [line.split() for line in TABLE.splitlines()[3:] if line]
MATRIX = [
    pytest.param(roles, resource, action, cell, id=f"{column}-{resource}-{action}")
    for resource, action, *cells in ROWS
    for (column, roles), cell in zip(COLUMNS.items(), cells, strict=True)
]


@pytest.mark.parametrize(("roles", "resource", "action", "cell"), MATRIX)
def test_a_role_allows_what_the_table_says_and_nothing_else(
    roles: list[str], resource: str, action: str, cell: str
) -> None:
    subject = Subject(actor_id=ME, roles=frozenset(map(RoleIdentifier.parse, roles)))
    allowed = {
        place
        for place, (organization_id, owner_id) in PLACES.items()
        if authorize(
            subject,
            Action(action),
            Object(resource=Resource(resource), organization_id=organization_id, owner_id=owner_id),
        )
    }
    assert allowed == CELLS[cell]


def test_the_table_has_every_action_and_every_role_once() -> None:
    written = [(resource, action) for resource, action, *_ in ROWS]
    assert sorted(written) == sorted((str(resource), str(action)) for resource, action in PAIRS)
    roles = [RoleIdentifier.parse(names[0]) for column, names in COLUMNS.items() if column != "person"]
    assert sorted(role.name for role in roles) == sorted((*SITE_ROLES, *ORGANIZATION_ROLES))


@pytest.mark.parametrize(
    "roles", [[], ["nobody"], [f"owner:{HERE}"], ["organization-admin"], [f"nobody:{HERE}"]], ids=str
)
def test_a_role_that_is_not_held_where_it_can_be_grants_nothing(roles: list[str]) -> None:
    subject = Subject(actor_id=ME, roles=frozenset(map(RoleIdentifier.parse, roles)))
    for resource, action in PAIRS:
        for organization_id, owner_id in PLACES.values():
            what = Object(resource=resource, organization_id=organization_id, owner_id=owner_id)
            assert not authorize(subject, action, what)
