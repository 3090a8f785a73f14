"""How people sign in: these rows of the table of options, and the kinds of value that only they have."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import is_built_in
from aibridge.options_kinds import BASE_URL, DURATION, KEY, TEXT, TRUTH, Kind, Option

SIGN_IN_GROUP = "Sign-in"
MASTER_KEY_BYTES = 32
"""AES-256 takes keys of 256 bits."""


def _words(text: str) -> tuple[str, ...]:
    words = tuple(part.strip() for part in text.split(","))
    if not all(word and word.isprintable() and " " not in word for word in words):
        raise ValueError("an empty word, or more than one")
    return words


def _role(text: str) -> str:
    """The string form of a role that can be held: a built-in one; an organization may have others of its own."""
    role = RoleIdentifier.parse(text)
    if not (role.is_organization_role or is_built_in(role)):
        raise ValueError("no such role")
    return role.unique_name


def _roles(text: str) -> tuple[str, ...]:
    return tuple(map(_role, _words(text)))


def _object(text: str, of: type) -> Any:  # noqa: ANN401 -- `of` says what it is
    try:
        return msgspec.json.decode(text, type=of)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("not such a JSON object") from error


def _group_mapping(text: str) -> Mapping[str, str]:
    mapping: dict[str, str] = _object(text, dict[str, str])
    if not all(mapping.values()):
        raise ValueError("a group without a name")
    return mapping


def _role_mapping(text: str) -> Mapping[str, tuple[str, ...]]:
    mapping: dict[str, tuple[str, ...]] = _object(text, dict[str, tuple[str, ...]])
    return {value: tuple(map(_role, roles)) for value, roles in mapping.items()}


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError("not a regular expression") from error
    return text


def _master_keys(text: str) -> tuple[bytes, ...]:
    keys = tuple(map(_master_key, _words(text)))
    if len(set(keys)) != len(keys):
        raise ValueError("a key twice")
    return keys


def _master_key(text: str) -> bytes:
    # 32 bytes are 64 characters in hex and 44 in base64, so the length alone tells the two apart.
    try:
        key = bytes.fromhex(text) if len(text) == 2 * MASTER_KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("neither hex nor base64") from error
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError("a key of another length")
    return key


WORDS = Kind(
    metavar="WORDS",
    allowed="words, separated by commas",
    type=tuple[str, ...],
    parse=_words,
    absent=(),
    is_list=True,
)
ROLES = Kind(
    metavar="ROLES",
    allowed="roles such as auditor or organization-admin:<organization id>, separated by commas",
    type=tuple[str, ...],
    parse=_roles,
    absent=(),
    is_list=True,
)
GROUP_MAPPING = Kind(
    metavar="JSON",
    allowed='a JSON object of claim values and names of groups, such as {"7f3c": "developers"}',
    type=Mapping[str, str],
    parse=_group_mapping,
    absent={},
)
ROLE_MAPPING = Kind(
    metavar="JSON",
    allowed='a JSON object of claim values and lists of roles, such as {"admins": ["owner"]}',
    type=Mapping[str, tuple[str, ...]],
    parse=_role_mapping,
    absent={},
)
EXPRESSION = Kind(metavar="REGEX", allowed="a regular expression of Python", type=str, parse=_expression)
MASTER_KEYS = Kind(
    metavar="KEYS",
    allowed="keys of 32 bytes in hex or base64, separated by commas, each once",
    type=tuple[bytes, ...],
    parse=_master_keys,
    absent=(),
    is_list=True,
)

# A table reads better than what the formatter would make of it.
# fmt: off
SIGN_IN = (
    Option("", "disable_password_auth", TRUTH, "false", SIGN_IN_GROUP,
           "Only owners sign in with a password."),
    Option("", "session_duration", DURATION, "24h", SIGN_IN_GROUP,
           "How long a session lasts that is not used; use extends it.", minimum="1m", maximum="365d"),
    Option("", "secure_auth_cookie", TRUTH, "false", SIGN_IN_GROUP,
           "Let browsers send the session cookie over https only, also where a proxy ends TLS."),
    Option("", "oidc_issuer_url", BASE_URL, None, SIGN_IN_GROUP,
           "Issuer of an OpenID Connect provider, exactly as it calls itself."),
    Option("", "oidc_client_id", TEXT, None, SIGN_IN_GROUP, "Client id at the OpenID Connect provider."),
    Option("", "oidc_client_secret", KEY, None, SIGN_IN_GROUP,
           "Client secret at the OpenID Connect provider; a public client has none.", secret=True),
    Option("", "oidc_scopes", WORDS, "openid,profile,email", SIGN_IN_GROUP, "Scopes to ask the provider for."),
    Option("", "oidc_email_domain", WORDS, None, SIGN_IN_GROUP,
           "Domains that email addresses must be of, exactly.", unset="any"),
    Option("", "oidc_username_field", TEXT, "preferred_username", SIGN_IN_GROUP, "Claim that holds the username."),
    Option("", "oidc_email_field", TEXT, "email", SIGN_IN_GROUP, "Claim that holds the email address."),
    Option("", "oidc_group_field", TEXT, None, SIGN_IN_GROUP,
           "Claim that holds the groups.", unset="groups are left alone"),
    Option("", "oidc_group_mapping", GROUP_MAPPING, None, SIGN_IN_GROUP,
           "Names of groups here, by the value of the claim; other values keep theirs."),
    Option("", "oidc_group_regex_filter", EXPRESSION, None, SIGN_IN_GROUP,
           "Groups, as they are called after mapping, in which this is not found are passed over."),
    Option("", "oidc_user_role_field", TEXT, None, SIGN_IN_GROUP,
           "Claim that holds the roles.", unset="roles are left alone"),
    Option("", "oidc_user_role_mapping", ROLE_MAPPING, None, SIGN_IN_GROUP,
           "Roles here, by the value of the claim; other values are roles themselves or nothing."),
    Option("", "oidc_user_role_default", ROLES, None, SIGN_IN_GROUP,
           "Roles that everybody has who signs in, where roles come from a claim."),
    Option("", "oidc_allow_signups", TRUTH, "true", SIGN_IN_GROUP, "Add a user on a first sign-in."),
    Option("", "oidc_ignore_email_verified", TRUTH, "false", SIGN_IN_GROUP,
           "Take email addresses that the provider does not call verified."),
    Option("", "oidc_sign_in_text", TEXT, "OpenID Connect", SIGN_IN_GROUP, "Label of the button to sign in."),
)
# fmt: on
