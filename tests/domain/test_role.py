"""A role's name with its organization: text and JSON both ways, order, and that no role travels as a bare string."""

import ast
import copy
import pickle
import re
import uuid
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aibridge
from aibridge.domain.role import RoleIdentifier, decode_hook, encode_hook

ORGANIZATION = uuid.UUID("11111111-1111-4111-8111-111111111111")
NIL = uuid.UUID(int=0)

names = st.text(min_size=1, max_size=20).filter(lambda text: ":" not in text)
identifiers = st.builds(RoleIdentifier, names, st.none() | st.uuids())


class Member(msgspec.Struct, frozen=True, kw_only=True):
    roles: tuple[RoleIdentifier, ...]
    first: RoleIdentifier | None = None


def test_a_site_role_is_its_name() -> None:
    role = RoleIdentifier.parse("auditor")
    assert (role.name, role.organization_id) == ("auditor", None)
    assert role.unique_name == str(role) == "auditor"
    assert not role.is_organization_role


def test_an_organization_role_is_its_name_and_the_organization() -> None:
    role = RoleIdentifier.parse(f"organization-admin:{ORGANIZATION}")
    assert (role.name, role.organization_id) == ("organization-admin", ORGANIZATION)
    assert role.unique_name == str(role) == f"organization-admin:{ORGANIZATION}"
    assert role.is_organization_role
    assert repr(role) == f"RoleIdentifier('organization-admin:{ORGANIZATION}')"


def test_the_nil_organization_is_the_site_when_read_and_refused_when_made() -> None:
    assert RoleIdentifier.parse(f"member:{NIL}") == RoleIdentifier("member")
    with pytest.raises(ValueError, match="the nil UUID is none"):
        RoleIdentifier("member", NIL)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "role cannot be the empty string"),
        (f":{ORGANIZATION}", "role cannot be the empty string"),
        ("a:b:c", "too many colons in role name"),
        (f"a:{ORGANIZATION}:", "too many colons in role name"),
        ("::", "too many colons in role name"),
        ("a:", "invalid organization id '' in role 'a:': it is not a UUID"),
        ("a:acme", "invalid organization id 'acme' in role 'a:acme': it is not a UUID"),
    ],
)
def test_what_is_no_role_is_refused_with_its_reason(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        RoleIdentifier.parse(text)


@pytest.mark.parametrize("form", [ORGANIZATION.hex, f"{{{ORGANIZATION}}}", f" {ORGANIZATION}", f"{ORGANIZATION}\n"])
def test_an_organization_has_one_form_only(form: str) -> None:
    with pytest.raises(ValueError, match="it is not a UUID"):
        RoleIdentifier.parse(f"a:{form}")


@pytest.mark.parametrize(("name", "error"), [("", "the empty string"), ("a:b", "too many colons")])
def test_what_is_no_name_is_refused_when_made(name: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        RoleIdentifier(name, ORGANIZATION)


def test_an_organization_in_capitals_is_the_same() -> None:
    organization = uuid.UUID("abcdefab-cdef-4bcd-8bcd-abcdefabcdef")
    assert RoleIdentifier.parse(f"a:{str(organization).upper()}") == RoleIdentifier("a", organization)


@given(identifiers)
def test_text_and_json_lead_back_to_the_role(role: RoleIdentifier) -> None:
    assert RoleIdentifier.parse(role.unique_name) == role
    member = Member(roles=(role, role), first=role)
    for document in (
        msgspec.json.encode(member, enc_hook=encode_hook),
        msgspec.json.encode(msgspec.to_builtins(member, enc_hook=encode_hook)),
    ):
        assert msgspec.json.decode(document, type=Member, dec_hook=decode_hook) == member
    assert msgspec.to_builtins(role, enc_hook=encode_hook) == role.unique_name
    assert msgspec.convert([role.unique_name], set[RoleIdentifier], dec_hook=decode_hook) == {role}


@given(st.text(max_size=60))
def test_any_text_is_a_role_or_a_value_error(text: str) -> None:
    try:
        role = RoleIdentifier.parse(text)
    except ValueError:
        return
    assert role.name == text.partition(":")[0]


@given(identifiers, identifiers)
def test_roles_are_equal_and_ordered_by_name_and_organization(one: RoleIdentifier, other: RoleIdentifier) -> None:
    assert (one == other) is (one.unique_name == other.unique_name)
    if one == other:
        assert hash(one) == hash(other)
    assert (one < other) + (one == other) + (one > other) == 1
    if one.name != other.name:
        assert (one < other) is (one.name < other.name)


def test_the_sites_role_comes_before_organizations() -> None:
    site, organization = RoleIdentifier("a"), RoleIdentifier("a", ORGANIZATION)
    assert sorted([RoleIdentifier("b"), organization, site]) == [site, organization, RoleIdentifier("b")]


def test_a_role_is_no_string() -> None:
    role = RoleIdentifier("owner")
    assert role != "owner"
    assert not issubclass(RoleIdentifier, str)
    with pytest.raises(TypeError):
        assert role < "owner"  # type: ignore[operator]


def test_a_role_cannot_be_changed_only_copied() -> None:
    role = RoleIdentifier("owner", ORGANIZATION)
    with pytest.raises(AttributeError, match="cannot be changed"):
        role.name = "member"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del role.organization_id
    assert copy.deepcopy(role) == pickle.loads(pickle.dumps(role)) == role  # noqa: S301 (what was just written)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b'{"roles": ["owner", ""]}', "role cannot be the empty string - at `$.roles[1]`"),
        (b'{"roles": ["a:b:c"]}', "too many colons in role name - at `$.roles[0]`"),
        (b'{"roles": ["a:x"]}', "invalid organization id 'x' in role 'a:x': it is not a UUID - at `$.roles[0]`"),
        (b'{"roles": [7]}', "Expected `str`, got `int` - at `$.roles[0]`"),
    ],
)
def test_a_document_with_a_bad_role_is_refused_with_its_place(document: bytes, error: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(document, type=Member, dec_hook=decode_hook)
    assert str(raised.value) == error


def test_the_hooks_know_roles_only() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        encode_hook(1j)
    with pytest.raises(NotImplementedError, match="complex"):
        decode_hook(complex, "1j")


TEXT = {
    ("cli/members.py", "roles"): "what was typed",
    ("cli/users.py", "roles"): "what was typed",
    ("demo/conversation.py", "role"): "who speaks in a conversation with a model: a vendor's word, none of ours",
}
"""Where text comes in or goes out, and nowhere else, roles are strings; each with its reason."""


def test_no_role_travels_as_a_bare_string() -> None:
    root = Path(aibridge.__file__).parent
    found = {
        (path.relative_to(root).as_posix(), name)
        for path in root.rglob("*.py")
        for name in bare_roles(ast.parse(path.read_text()))
    }
    assert found == set(TEXT)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(role: str): ...", ["role"]),
        ("def f(*, roles: list[str]): ...", ["roles"]),
        ("async def f(*site_roles: str): ...", ["site_roles"]),
        ("class A:\n    role: 'str | None' = None", ["role"]),
        ("class A:\n    roles: Mapping[str, RoleIdentifier]", []),
        ("class A:\n    role_names: tuple[str, ...]", []),
        ("class A:\n    roles: frozenset[RoleIdentifier]", []),
        ("def f(user: str, role: RoleIdentifier) -> str: ...", []),
    ],
)
def test_a_bare_string_would_be_found(source: str, found: list[str]) -> None:
    assert bare_roles(ast.parse(source)) == found


def bare_roles(tree: ast.Module) -> list[str]:
    """The parameters and fields that are named for roles and typed as strings. A mapping's keys may be names."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                pass
            case _:
                continue
        if name.endswith(("role", "roles")) and speaks_of_strings(annotation):
            found.append(name)
    return found


def speaks_of_strings(annotation: ast.expr) -> bool:
    match annotation:
        case ast.Constant(value=str(text)):
            return speaks_of_strings(ast.parse(text, mode="eval").body)
        case ast.Name(id=name):
            return name == "str"
        case ast.Subscript(value=ast.Name(id="Mapping" | "dict"), slice=ast.Tuple(elts=[_, value])):
            return speaks_of_strings(value)
    return any(speaks_of_strings(part) for part in ast.iter_child_nodes(annotation) if isinstance(part, ast.expr))
