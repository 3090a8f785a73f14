"""Every endpoint, asked by everybody: who may, who may not, and who may not even know.

The table is written out, not derived: it is what is promised. A row is an endpoint with the things that its path or its
body names, a column is who asks. In a cell stands what they are told:

    .    they may: the endpoint's own status; what is changed is in the audit log
    x    they may not: 403
    -    it is not there, at least not for them: 404
    u    nobody knows who they are: 401
    c    they may, but it does not go together with what is there: 409
    b    they may, but not with this thing: 400

An endpoint without a row fails the tests. Who is refused changes nothing, and is not in the audit log.

Of the columns, those of the site have their role everywhere and are in the organization that everything begins with,
those `here` and `elsewhere` have it in the organization of that name. `mia` and `ben` are plain members here, `noa` is
one elsewhere. `bot` is a service account here with no role, `chief` is one that administers `here`. `narrow` is an
owner's token with a scope for something else, `listed` an owner's that is for the organization `elsewhere` alone.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import pytest
from control_driver import Answer
from control_world import BREAKER, PASSWORD, World, world

from aibridge.contract.endpoint import PREFIX, Endpoint
from aibridge.contract.table import BY_OPERATION, ENDPOINTS

STATUSES = {"x": 403, "-": 404, "u": 401, "c": 409, "b": 400}
# fmt: off
COLUMNS = (
    "nobody",
    "member", "auditor", "user-admin", "template-admin", "owner",
    "mia", "ben", "auditor-here", "user-admin-here", "template-admin-here", "admin-here",
    "noa", "auditor-elsewhere", "user-admin-elsewhere", "template-admin-elsewhere", "admin-elsewhere",
    "bot", "chief",
    "narrow", "listed",
)
TABLE = """
                                                      n   site        here          elsewhere   serv. token
endpoint                         thing named          -   m a u t o   m b a u t a   n a u t a   b c   n l

build_info                       -                    .   . . . . .   . . . . . .   . . . . .   . .   . .
appearance                       -                    .   . . . . .   . . . . . .   . . . . .   . .   . .
auth_methods                     -                    .   . . . . .   . . . . . .   . . . . .   . .   . .
first_user                       -                    .   . . . . .   . . . . . .   . . . . .   . .   . .
login_with_password              -                    .   . . . . .   . . . . . .   . . . . .   . .   . .
oidc_login                       -                    -   - - - - -   - - - - - -   - - - - -   - -   - -
oidc_callback                    -                    -   - - - - -   - - - - - -   - - - - -   - -   - -

experiments                      -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
entitlements                     -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
app_host                         -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
check_authorization              -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
logout                           -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
update_appearance                -                    u   x x x x .   x x x x x x   x x x x x   x x   x x
deployment_config                -                    u   x . x x .   x x x x x x   x x x x x   x x   x x
deployment_daus                  -                    u   x . x x .   x x x x x x   x x x x x   x x   x x
site_roles                       -                    u   . . . . .   . . . . . .   . . . . .   . .   x x

audit_logs                       -                    u   x . x x .   x x . x x .   x . x x .   x .   x x
audit_csv                        -                    u   x . x x .   x x . x x .   x . x x .   x .   x x
audit_verification               -                    u   x . x x .   x x x x x x   x x x x x   x x   x x

users                            -                    u   . . . . .   . . . . . .   . . . . .   . .   x x
create_user                      person               u   x x . x .   x x x x x x   x x x x x   x x   x x
create_user                      bot/here             u   x x . x .   x x x x x .   x x x x x   x .   x x
create_user                      bot/elsewhere        u   x x . x .   x x x x x x   x x x x .   x x   x x
user                             me                   u   . . . . .   . . . . . .   . . . . .   . .   - -
user                             mia                  u   - . . - .   . - - - - -   - - - - -   - -   - -
user                             noa                  u   - . . - .   - - - - - -   . - - - -   - -   - -
user                             bot                  u   - . . - .   - - . - - .   - - - - -   . .   - -
user                             nobody-at-all        u   - - - - -   - - - - - -   - - - - -   - -   - -
delete_user                      mia                  u   - x . - .   x - - - - -   - - - - -   - -   - -
delete_user                      bot                  u   - x . - .   - - x - - .   - - - - -   - .   - -
delete_user                      chief                u   - x x - .   - - x - - .   - - - - -   - .   - -
delete_user                      second               u   - x x - .   - - - - - -   - - - - -   - -   - -
update_user_profile              mia                  u   - x . - .   . - - - - -   - - - - -   - -   - -
update_user_profile              bot                  u   - x . - .   - - x - - .   - - - - -   - .   - -
update_user_profile              second               u   - x x - .   - - - - - -   - - - - -   - -   - -
update_user_password             mia                  u   - x . - .   . - - - - -   - - - - -   - -   - -
update_user_password             bot                  u   - x b - b   - - x - - b   - - - - -   - b   - -
update_user_password             second               u   - x x - .   - - - - - -   - - - - -   - -   - -
suspend_user                     mia                  u   - x . - .   x - - - - -   - - - - -   - -   - -
suspend_user                     bot                  u   - x . - .   - - x - - .   - - - - -   - .   - -
suspend_user                     second               u   - x x - .   - - - - - -   - - - - -   - -   - -
activate_user                    mia                  u   - x . - .   x - - - - -   - - - - -   - -   - -
activate_user                    chief                u   - x x - .   - - x - - .   - - - - -   - .   - -
user_roles                       mia                  u   - . . - .   . - - - - -   - - - - -   - -   - -
user_roles                       bot                  u   - . . - .   - - . - - .   - - - - -   . .   - -
update_user_roles                mia                  u   - x x - .   x - - - - -   - - - - -   - -   - -
update_user_roles                bot                  u   - x x - b   - - x - - x   - - - - -   - x   - -
user_organizations               mia                  u   - . . - .   . - - - - -   - - - - -   - -   - -
workspace_quota                  mia                  u   - . . - .   . - - - - -   - - - - -   - -   - -
workspace_quota                  bot                  u   - . . - .   - - . - - .   - - - - -   . .   - -
user_ai_budgets                  mia                  u   - . . - .   . - - - - -   - - - - -   - -   - -

tokens                           mia                  u   - x x - .   . - - - - -   - - - - -   - -   - -
tokens                           bot                  u   - . . - .   - - . - - .   - - - - -   . .   - -
create_token                     mia                  u   - x x - .   . - - - - -   - - - - -   - -   - -
create_token                     second               u   - x x - .   - - - - - -   - - - - -   - -   - -
create_token                     bot                  u   - x . - .   - - x - - .   - - - - -   - .   - -
create_token                     chief                u   - x x - .   - - x - - .   - - - - -   - .   - -
api_key_by_name                  mia/mia              u   - - - - .   . - - - - .   - - - - -   - .   - -
api_key                          mia/mia              u   - - - - .   . - - - - .   - - - - -   - .   - -
api_key                          bot/bot              u   - . . - .   - - . - - .   - - - - -   . .   - -
api_key                          noa/mia              u   - - - - -   - - - - - -   - - - - -   - -   - -
delete_api_key                   mia/mia              u   - - - - .   . - - - - .   - - - - -   - .   - -
delete_api_key                   bot/bot              u   - x . - .   - - x - - .   - - - - -   - .   - -
delete_api_key                   noa/mia              u   - - - - -   - - - - - -   - - - - -   - -   - -
rotate_token                     mia/mia              u   - - - - .   . - - - - x   - - - - -   - x   - -
rotate_token                     bot/bot              u   - x . - .   - - x - - .   - - - - -   - .   - -
rotate_token                     chief/chief          u   - x x - .   - - x - - .   - - - - -   - .   - -

organizations                    -                    u   . . . . .   . . . . . .   . . . . .   . .   x x
create_organization              -                    u   x x x x .   x x x x x x   x x x x x   x x   x x
organization                     here                 u   - . . . .   . . . . . .   - - - - -   . .   - -
organization                     elsewhere            u   - . . . .   - - - - - -   . . . . .   - -   - .
update_organization              here                 u   - x x x .   x x x x x .   - - - - -   x .   - -
delete_organization              here                 u   - x x x c   x x x x x c   - - - - -   x c   - -
delete_organization              elsewhere            u   - x x x .   - - - - - -   x x x x .   - -   - .
delete_organization              default              u   x x x x c   - - - - - -   - - - - -   - -   - -

organization_members             here                 u   - . . . .   . . . . . .   - - - - -   . .   - -
organization_member              here/mia             u   - . . . .   . - . . . .   - - - - -   - .   - -
organization_member              here/noa             u   - - - - -   - - - - - -   - - - - -   - -   - -
add_organization_member          here/noa             u   - x . x .   - - x . x .   - - - - -   - .   - -
add_organization_member          here/mia             u   - x c x c   x - x c x c   - - - - -   - c   - -
add_organization_member          here/nobody-at-all   u   - x - x -   - - x - x -   - - - - -   - -   - -
remove_organization_member       here/mia             u   - x . x .   x - x . x .   - - - - -   - .   - -
remove_organization_member       here/admin-here      u   - x x x .   - - x x x c   - - - - -   - .   - -
remove_organization_member       here/bot             u   - x c x c   - - x c x c   - - - - -   x c   - -
remove_organization_member       here/noa             u   - x - x -   - - x - x -   - - - - -   - -   - -
remove_organization_member       here/nobody-at-all   u   - x - x -   - - x - x -   - - - - -   - -   - -
remove_organization_member       default/second       u   - x x x .   - - - - - -   - - - - -   - -   - -
update_organization_member_roles here/mia             u   - x x x .   x - x x x .   - - - - -   - .   - -
update_organization_member_roles here/chief           u   - x x x .   - - x x x .   - - - - -   - .   - -
update_organization_member_roles here/noa             u   - x - x -   - - x - x -   - - - - -   - -   - -

organization_roles               here                 u   - . . x .   . . . . . .   - - - - -   . .   - -
create_organization_role         here                 u   - x x x .   x x x x x .   - - - - -   x .   - -
update_organization_role         here/reader          u   - x x - .   x x x x x .   - - - - -   x .   - -
delete_organization_role         here/reader          u   - x x - .   x x x x x .   - - - - -   x .   - -

organization_groups              here                 u   - . . . .   x x . . . .   - - - - -   x .   - -
create_group                     here                 u   - x . x .   x x x . x .   - - - - -   x .   - -
group                            team                 u   - . . . .   - - . . . .   - - - - -   - .   - -
update_group                     team                 u   - x . x .   - - x . x .   - - - - -   - .   - -
delete_group                     team                 u   - x . x .   - - x . x .   - - - - -   - .   - -

interceptions                    -                    u   . . . . .   . . . . . .   . . . . .   . .   x x
limits                           -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
watch_limits                     -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
limit                            site                 u   . . . . .   . . . . . .   . . . . .   . .   . .
limit                            here                 u   - . - . .   . . . . . .   - - - - -   . .   - -
create_limit                     site                 u   x x x x .   x x x x x x   x x x x x   x x   x x
create_limit                     here                 u   x x x x .   x x x x x .   x x x x x   x .   x x
update_limit                     site                 u   - x - x .   - - - - - -   - - - - -   - -   - -
update_limit                     here                 u   - x - x .   - - x - x .   - - - - -   - .   - -
update_limit                     gone                 u   - x - x -   - - - - - -   - - - - -   - -   - -
delete_limit                     site                 u   - x - x .   - - - - - -   - - - - -   - -   - -
delete_limit                     here                 u   - x - x .   - - x - x .   - - - - -   - .   - -
breakers                         -                    u   . . . . .   . . . . . .   . . . . .   . .   . .
reset_breaker                    one                  u   x x x x .   x x x x x x   x x x x x   x x   x x
providers                        -                    u   x . x . .   x x x x x x   x x x x x   x x   x x
create_provider                  -                    u   x x x x .   x x x x x x   x x x x x   x x   x x
provider                         vendor               u   - . - . .   - - - - - -   - - - - -   - -   - -
update_provider                  vendor               u   - x - x .   - - - - - -   - - - - -   - -   - -
delete_provider                  vendor               u   - x - x .   - - - - - -   - - - - -   - -   - -
"""
# fmt: on


class Row(NamedTuple):
    """What is asked, and what each column is told."""

    endpoint: Endpoint
    what: str
    told: dict[str, str]


def _rows() -> Iterator[Row]:
    for line in TABLE.splitlines():
        operation, *rest = line.split() or [""]
        if operation in BY_OPERATION:
            what, *told = rest
            yield Row(BY_OPERATION[operation], what, dict(zip(COLUMNS, told, strict=True)))


ROWS = list(_rows())
NAMES = [f"{row.endpoint.operation}-{row.what}" for row in ROWS]
HARMLESS = {"check_authorization"}
"""What is sent with a body and changes nothing."""
LIMIT = {"unit": "requests", "amount": 5, "window": 60.0}
TEXT = {"display_name": "Another"}

Body = Callable[[World, str], dict[str, Any]]
BODIES: dict[str, Body] = {
    "login_with_password": lambda *_: {"email": "mia@example.com", "password": PASSWORD},
    "check_authorization": lambda *_: {"checks": {"a": {"action": "read", "object": {"resource": "group"}}}},
    "update_appearance": lambda *_: {"application_name": "Bridge"},
    "create_user": lambda world, what: {"username": "new"} | _of(world, what),
    "update_user_profile": lambda *_: {"name": "Another Name"},
    "update_user_password": lambda *_: {"password": "another quiet place", "old_password": PASSWORD},
    "update_user_roles": lambda *_: {"roles": ["auditor"]},
    "create_token": lambda *_: {"token_name": "new"},
    "rotate_token": lambda *_: {"overlap": 60},
    "create_organization": lambda *_: {"name": "new"},
    "update_organization": lambda *_: TEXT,
    "update_organization_member_roles": lambda world, _: {"roles": [f"organization-auditor:{world.here}"]},
    "create_organization_role": lambda *_: {
        "name": "new",
        "organization_permissions": [{"resource": "group", "action": "read"}],
    },
    "update_organization_role": lambda *_: TEXT,
    "create_group": lambda *_: {"name": "new"},
    "update_group": lambda *_: TEXT,
    "create_limit": lambda world, what: {"name": "new", "organization_id": _place(world, what)} | LIMIT,
    "update_limit": lambda world, what: {"organization_id": _place(world, what)} | LIMIT,
    "create_provider": lambda *_: {"name": "new", "kind": "openai", "base_url": "https://api.example.org"},
    "update_provider": lambda *_: TEXT,
}


def _of(world: World, what: str) -> dict[str, Any]:
    kind, _, place = what.partition("/")
    return {"service_account_of": _place(world, place)} if kind == "bot" else {}


def _place(world: World, name: str) -> str | None:
    return {"here": str(world.here), "elsewhere": str(world.elsewhere)}.get(name)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("matrix")
    with world(directory) as made:
        yield made


def _path(endpoint: Endpoint, what: str, world: World, path: str | None = None) -> str:
    values = iter(what.split("/"))
    parts = []
    for text, name, _, _ in Formatter().parse(path or endpoint.path):
        parts.append(text)
        if name:
            value = next(values)
            named = {"group": world.ids, "key": world.token_ids, "breaker": {"one": BREAKER.name}}
            parts.append(named.get(name, {}).get(value, value))
    return PREFIX + "".join(parts)


def _asked(world: World, row: Row, column: str, path: str | None = None) -> Answer:
    endpoint = row.endpoint
    body = BODIES[endpoint.operation](world, row.what) if endpoint.body is not None else None
    target = _path(endpoint, row.what, world, path)
    return world.control.call(target, world.tokens.get(column), method=endpoint.method, body=body)


def test_every_endpoint_has_a_row_and_every_body_a_sample() -> None:
    assert {row.endpoint.operation for row in ROWS} == {endpoint.operation for endpoint in ENDPOINTS}
    assert set(BODIES) == {endpoint.operation for endpoint in ENDPOINTS if endpoint.body is not None}
    rows = [line for line in TABLE.splitlines() if len(line.split()) == len(COLUMNS) + 2]
    assert len(rows) == len(ROWS), "a row is of an endpoint that is not there"


def test_everybody_is_somebody(everybody: World) -> None:
    assert set(COLUMNS) - {"nobody"} <= set(everybody.tokens)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_table(everybody: World, row: Row) -> None:
    before = everybody.dump()
    wrong = []
    for column, told in row.told.items():
        with everybody.undone():
            answer = _asked(everybody, row, column)
            wanted = row.endpoint.status if told == "." else STATUSES[told]
            if answer.status != wanted:
                wrong.append(f"{column}: {answer.status} and not {wanted}: {answer.body[:300]!r}")
                continue
            after = everybody.dump()
            if told == "." and row.endpoint.changes and row.endpoint.operation not in HARMLESS:
                if len(after["audit_log"]) == len(before["audit_log"]):
                    wrong.append(f"{column}: no entry in the audit log")
            elif after != before:
                wrong.append(f"{column}: something was changed")
            if told != ".":
                _check_refusal(answer, column)
    assert not wrong, "\n".join(wrong)
    assert everybody.dump() == before


def _check_refusal(answer: Answer, column: str) -> None:
    assert set(answer.json) == {"message", "detail", "validations"}, column
    assert answer.headers["cache-control"] == "no-store", column
    assert ("www-authenticate" in answer.headers) == (answer.status == 401), column


ALIASED = [row for row in ROWS if row.endpoint.aliases]


@pytest.mark.parametrize("row", ALIASED, ids=[f"{row.endpoint.operation}-{row.what}" for row in ALIASED])
def test_an_alias_is_no_way_around(everybody: World, row: Row) -> None:
    for alias in row.endpoint.aliases:
        for column in ("nobody", "member", "admin-elsewhere", "owner"):
            with everybody.undone():
                answer = _asked(everybody, row, column, alias)
            told = row.told[column]
            assert answer.status == (row.endpoint.status if told == "." else STATUSES[told]), (alias, column)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_token_that_is_none_is_nobodys(everybody: World, row: Row) -> None:
    """Revoked, expired, of another server: the answer is as to nobody, and never the endpoint's own."""
    told = row.told["nobody"]
    endpoint = row.endpoint
    body = BODIES[endpoint.operation](everybody, row.what) if endpoint.body is not None else None
    wrong = everybody.tokens["owner"][:-1] + ("0" if everybody.tokens["owner"][-1] != "0" else "1")
    with everybody.undone():
        answer = everybody.control.call(_path(endpoint, row.what, everybody), wrong, method=endpoint.method, body=body)
    assert answer.status == (endpoint.status if told == "." else STATUSES[told])


def test_what_the_path_names_by_id_and_by_name_is_the_same(everybody: World) -> None:
    for column in ("auditor-here", "member", "user-admin", "noa"):
        for by_name, by_id in (
            ("/users/mia", f"/users/{everybody.ids['mia']}"),
            ("/organizations/here", f"/organizations/{everybody.here}"),
            ("/organizations/here/members/mia", f"/organizations/{everybody.here}/members/{everybody.ids['mia']}"),
            ("/aibridge/providers/vendor", f"/aibridge/providers/{everybody.ids['vendor']}"),
        ):
            answers = [everybody.control.call(PREFIX + path, everybody.tokens[column]) for path in (by_name, by_id)]
            assert answers[0].status == answers[1].status, (column, by_name)
            assert answers[0].status == 200 or answers[0].body == answers[1].body


@pytest.mark.parametrize(
    ("there", "absent"),
    [
        ("/users/mia", "/users/nobody-at-all"),
        ("/organizations/here", "/organizations/nowhere"),
        ("/organizations/here/members/mia", "/organizations/nowhere/members/mia"),
        ("/organizations/here/members/roles", "/organizations/nowhere/members/roles"),
        ("/groups/{team}", f"/groups/{uuid.UUID(int=7)}"),
        ("/users/mia/keys/{mia}", "/users/mia/keys/0123456789"),
        ("/aibridge/limits/here", "/aibridge/limits/nothing"),
        ("/aibridge/providers/vendor", "/aibridge/providers/nothing"),
    ],
)
def test_what_is_not_for_them_looks_like_what_is_not_there(everybody: World, there: str, absent: str) -> None:
    """Byte by byte, whatever is done to it: nobody learns what others have by asking."""
    there = there.format(team=everybody.ids["team"], mia=everybody.token_ids["mia"])
    for method in ("GET", "DELETE"):
        for column in ("noa", "member", "admin-elsewhere", "narrow"):
            token = everybody.tokens[column]
            with everybody.undone():
                real, unreal = (everybody.control.call(PREFIX + path, token, method=method) for path in (there, absent))
            if real.status != 405:
                assert (real.status, real.body) == (unreal.status, unreal.body), (column, method)
