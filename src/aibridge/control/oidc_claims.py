"""What an identity provider says of somebody, in our words: pure functions of claims and options."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from aibridge.domain.errors import Forbidden
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import is_built_in
from aibridge.options import Settings
from aibridge.store.conflict import Invalid
from aibridge.store.names import (
    NAME_LENGTH,
    SELF,
    USERNAME_LENGTH,
    can_be_kept,
    check_email,
    looks_like_id,
)

Claims = Mapping[str, Any]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]+")
_NO_NAME = "user"
_MOST_VALUES = 1000


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as a provider knows them. `issuer` and `subject` together are who it is; all else may change.

    An address whose `email_verified` is False says nothing of who it is: link no account by it. `groups` and `roles`
    are None where no claim is configured for them: then what somebody has here stays as it is.
    """

    issuer: str
    subject: str
    username: str
    email: str
    email_verified: bool
    name: str
    groups: tuple[str, ...] | None
    roles: tuple[RoleIdentifier, ...] | None


def is_complete(claims: Claims, settings: Settings) -> bool:
    """Whether all claims are there that the options name."""
    fields = (
        settings.oidc_username_field,
        settings.oidc_email_field,
        settings.oidc_group_field,
        settings.oidc_user_role_field,
    )
    return all(field in claims for field in fields if field)


def identity(claims: Claims, settings: Settings) -> Identity:
    """Who it is that these claims, which are verified by now, speak of.

    Raises:
        Forbidden: no email address, one that is not verified, or one of a domain that is not allowed.
    """
    username = _string(claims, settings.oidc_username_field)
    email = _string(claims, settings.oidc_email_field)
    # Some providers give the address as the username only, and so say nothing of whether it is verified.
    email_verified = bool(email) and claims.get("email_verified") in (True, "true")
    email = email or username
    try:
        check_email(email)
    except Invalid:
        raise Forbidden(
            "The identity provider gives no email address.",
            f"The claim {settings.oidc_email_field!r} (--oidc-email-field) holds none. "
            f"The scopes that were asked for are {', '.join(settings.oidc_scopes)} (--oidc-scopes).",
        ) from None
    if not email_verified and not settings.oidc_ignore_email_verified:
        raise Forbidden(
            "The identity provider does not say that this email address is verified.",
            'The claim "email_verified" is not true. Verify the address there, or let an administrator set '
            "--oidc-ignore-email-verified where the provider can be trusted with addresses.",
        )
    domains = [domain.casefold().removeprefix("@") for domain in settings.oidc_email_domain]
    if domains and email.rpartition("@")[2].casefold() not in domains:
        raise Forbidden(
            "This email address is of a domain that may not sign in here.",
            f"Allowed are addresses of {', '.join(domains)} (--oidc-email-domain).",
        )
    return Identity(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        username=username_of(username or email),
        email=email,
        email_verified=email_verified,
        name="".join(filter(can_be_kept, _string(claims, "name")))[:NAME_LENGTH],
        groups=_groups(claims, settings),
        roles=_roles(claims, settings),
    )


def username_of(text: str) -> str:
    """A username as like `text` as it may be: of an email address, what stands before the @. It may be taken.

    Some providers call people by an id; nobody is called by one here, so it comes after a word.
    """
    plain = unicodedata.normalize("NFKD", text.partition("@")[0] or text)
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    name = _NOT_IN_NAMES.sub("-", plain).strip("._+-")[:USERNAME_LENGTH]
    if looks_like_id(name):
        return f"{_NO_NAME}-{name}"[:USERNAME_LENGTH]
    return _NO_NAME if name.lower() in ("", SELF) else name


def _groups(claims: Claims, settings: Settings) -> tuple[str, ...] | None:
    if settings.oidc_group_field is None:
        return None
    names = [settings.oidc_group_mapping.get(value, value) for value in _strings(claims, settings.oidc_group_field)]
    wanted = re.compile(settings.oidc_group_regex_filter or "")
    return tuple(dict.fromkeys(name for name in names if wanted.search(name)))


def _roles(claims: Claims, settings: Settings) -> tuple[RoleIdentifier, ...] | None:
    if settings.oidc_user_role_field is None:
        return None
    names = list(settings.oidc_user_role_default)
    for value in _strings(claims, settings.oidc_user_role_field):
        names += settings.oidc_user_role_mapping.get(value, (value,))
    return tuple(dict.fromkeys(role for role in map(_role, names) if role is not None))


def _role(name: str) -> RoleIdentifier | None:
    """A role that can be held; a provider's other roles are for others, and no mistake."""
    try:
        role = RoleIdentifier.parse(name)
    except ValueError:
        return None
    return role if role.is_organization_role or is_built_in(role) else None


def _string(claims: Claims, field: str) -> str:
    value = claims.get(field)
    return value.strip() if isinstance(value, str) else ""


def _strings(claims: Claims, field: str) -> list[str]:
    """A claim of several values, which some providers give as one string where there is one."""
    value = claims.get(field)
    values = value[:_MOST_VALUES] if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each]
