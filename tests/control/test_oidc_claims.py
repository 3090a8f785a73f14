"""Claims of an identity provider, in our words."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity_provider import ADA, ISSUER, settings

from aibridge.control.oidc_claims import Identity, identity, is_complete, username_of
from aibridge.domain.errors import Forbidden
from aibridge.domain.role import RoleIdentifier
from aibridge.store.names import check_username

ORGANIZATION = uuid.UUID("00000000-0000-4000-8000-000000000001")
MAPPING = f'{{"bosses": ["owner", "organization-admin:{ORGANIZATION}"], "none": []}}'


def who(claims: dict[str, Any], **options: str) -> Identity:
    return identity({"iss": ISSUER, "sub": "1", **ADA} | claims, settings(**options))


def refusal(claims: dict[str, Any], **options: str) -> Forbidden:
    with pytest.raises(Forbidden) as caught:
        who(claims, **options)
    return caught.value


def test_the_usual_claims() -> None:
    assert who({}) == Identity(
        issuer=ISSUER,
        subject="1",
        username="ada",
        email="ada@example.com",
        email_verified=True,
        name="Ada Lovelace",
        groups=None,
        roles=None,
    )


def test_claims_of_other_names() -> None:
    found = who({"upn": "countess", "mail": "a@b.example"}, username_field="upn", email_field="mail")

    assert (found.username, found.email) == ("countess", "a@b.example")


@pytest.mark.parametrize(
    ("text", "username"),
    [
        ("ada", "ada"),
        ("Ada.Lovelace_1+x-y", "Ada.Lovelace_1+x-y"),
        ("ada@example.com", "ada"),
        ("Größe Ünal", "Gro-e-Unal"),
        ("EXAMPLE\\ada", "EXAMPLE-ada"),
        ("..ada..", "ada"),
        ("@ada", "ada"),
        ("me", "user"),
        ("Me@example.com", "user"),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "user-3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        ("東京", "user"),
        ("", "user"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_username_is_as_like_as_it_may_be(text: str, username: str) -> None:
    assert username_of(text) == username


@given(st.text() | st.uuids().map(str) | st.sampled_from(["mE", "a" * 32, "-".join("a" * 32)]))
def test_whatever_is_said_a_username_comes_of_it(text: str) -> None:
    check_username(username_of(text))


def test_a_name_that_cannot_be_kept_keeps_nobody_out() -> None:
    assert who({"name": "Ada\n\x1bLovelace" + "x" * 300}).name == "AdaLovelace" + "x" * 245


def test_without_a_username_the_email_address_gives_one() -> None:
    assert who({"preferred_username": None}).username == "ada"


def test_an_address_as_username_is_an_address_that_nobody_verified() -> None:
    claims = {"email": None, "preferred_username": "ada@example.com"}

    assert "--oidc-ignore-email-verified" in refusal(claims).detail
    found = who(claims, ignore_email_verified="true")
    assert (found.username, found.email, found.email_verified) == ("ada", "ada@example.com", False)


@pytest.mark.parametrize(
    "email", [None, "", 7, "ada", "@example.com", "ada@", "a@b@c", "a b@c", "a\n@b", "a@b\0c", "a@" + "b" * 260]
)
def test_without_an_address_nobody_signs_in(email: object) -> None:
    error = refusal({"email": email})

    assert error.message == "The identity provider gives no email address."
    assert "--oidc-email-field" in error.detail
    assert "openid, profile, email (--oidc-scopes)" in error.detail


@pytest.mark.parametrize("verified", [False, None, "false", "yes", [], "True"])
def test_nor_with_one_that_is_not_verified_unless_that_does_not_matter(verified: object) -> None:
    assert "is verified" in refusal({"email_verified": verified}).message
    assert not who({"email_verified": verified}, ignore_email_verified="true").email_verified


def test_some_providers_write_truth_as_text() -> None:
    assert who({"email_verified": "true"}).email_verified


@pytest.mark.parametrize("email", ["ada@example.com", "ada@EXAMPLE.com", "ada@other.example"])
def test_addresses_of_domains_that_are_allowed(email: str) -> None:
    assert who({"email": email}, email_domain="Example.com,@other.example").email == email


@pytest.mark.parametrize(
    "email", ["ada@evil.example", "ada@sub.example.com", "ada@example.com.evil", "example.com@evil", "ada@xexample.com"]
)
def test_addresses_of_others_are_refused(email: str) -> None:
    error = refusal({"email": email}, email_domain="example.com")

    assert error.status == 403
    assert error.detail == "Allowed are addresses of example.com (--oidc-email-domain)."


@pytest.mark.parametrize(
    ("value", "options", "groups"),
    [
        (["b", "a", "b"], {}, ("b", "a")),
        ("one", {}, ("one",)),
        (None, {}, ()),
        ([1, None, "", "a", ["b"]], {}, ("a",)),
        (["7f", "a"], {"group_mapping": '{"7f": "developers"}'}, ("developers", "a")),
        (
            ["7f", "eng-x", "x-eng-"],
            {"group_mapping": '{"7f": "eng-7"}', "group_regex_filter": "^eng-"},
            ("eng-7", "eng-x"),
        ),
        (["a", "b"], {"group_mapping": '{"a": "b"}'}, ("b",)),
    ],
)
def test_groups(value: object, options: dict[str, str], groups: tuple[str, ...]) -> None:
    assert who({"teams": value}, group_field="teams", **options).groups == groups


@pytest.mark.parametrize(
    ("value", "options", "roles"),
    [
        (["bosses"], {}, (RoleIdentifier("owner"), RoleIdentifier("organization-admin", ORGANIZATION))),
        (["none", "unknown", "a:b:c", ""], {}, ()),
        (["auditor"], {}, (RoleIdentifier("auditor"),)),
        ("auditor", {}, (RoleIdentifier("auditor"),)),
        (None, {"user_role_default": "auditor"}, (RoleIdentifier("auditor"),)),
        (["auditor"], {"user_role_default": "auditor"}, (RoleIdentifier("auditor"),)),
        ([f"deployer:{ORGANIZATION}"], {}, (RoleIdentifier("deployer", ORGANIZATION),)),
        (["organization-admin"], {}, ()),
    ],
)
def test_roles(value: object, options: dict[str, str], roles: tuple[RoleIdentifier, ...]) -> None:
    assert who({"r": value}, user_role_field="r", user_role_mapping=MAPPING, **options).roles == roles


def test_defaults_are_of_no_account_where_roles_are_left_alone() -> None:
    assert who({}, user_role_default="owner").roles is None


def test_what_is_complete() -> None:
    assert is_complete(ADA, settings())
    assert not is_complete({"email": "a@b"}, settings())
    assert not is_complete(ADA, settings(group_field="groups"))
    assert not is_complete(ADA, settings(user_role_field="roles"))
    assert is_complete({**ADA, "groups": [], "roles": []}, settings(group_field="groups", user_role_field="roles"))
