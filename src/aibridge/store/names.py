"""What names and other texts may be, before they are kept: bounded, printable, and never to be taken for an id.

Whoever looks something up says its id or its name; so a name that looks like an id could stand in another's place.
"""

import re
import string
import unicodedata
import uuid

from aibridge.store.conflict import Invalid

USERNAME_LENGTH = 64
SLUG_LENGTH = 36
NAME_LENGTH = 256
"""Of full names, display names and names of groups, in characters."""
TEXT_LENGTH = 4096
"""Of descriptions and addresses of icons."""
EMAIL_LENGTH = 254
"""RFC 5321, 4.5.3.1.3, less the two angle brackets."""

SELF = "me"
"""Stands for whoever asks, where a user is named. So nobody is called that."""

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", re.ASCII)
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UNKEPT = frozenset(("Cc", "Cs"))


def can_be_kept(text: str) -> bool:
    """Whether it has no control characters in it: PostgreSQL takes no NUL, nobody half a character, no terminal ESC.

    Nothing of ours is called what cannot be kept, so there is no need to ask a database for it.
    """
    return not any(unicodedata.category(character) in _UNKEPT for character in text)


def lowered(text: str) -> str:
    """The text with its ASCII letters in lower case, as the databases' `lower` leaves it: others are not of one case.

    So U+212A is no k: who has a mailbox at an address with it is not who has one with a k.
    """
    return text.translate(_LOWER)


def looks_like_id(text: str) -> bool:
    """Whether it is a UUID in any spelling that one can be read from."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def check_username(text: str) -> None:
    """Refuse what cannot be a username: it travels upstream in a header, and stands in filters and paths.

    Raises:
        Invalid: it is none, looks like an id, or is "me", which in filters and paths is whoever asks.
    """
    fits = len(text) <= USERNAME_LENGTH and _USERNAME.fullmatch(text)
    if not fits or text.lower() == SELF or looks_like_id(text):
        raise Invalid(
            "username",
            f"{text!r} cannot be a username: up to {USERNAME_LENGTH} letters, digits and . _ @ + -, "
            f"a letter or digit first, and neither {SELF!r} nor what looks like an id",
        )


def check_email(text: str) -> None:
    """Refuse what is not of the form of an address. Whether it is somebody's, only a mail to it could tell.

    Raises:
        Invalid: it is not.
    """
    if len(text) > EMAIL_LENGTH or not _EMAIL.fullmatch(text) or not can_be_kept(text):
        raise Invalid("email", f"{text!r} is no email address of at most {EMAIL_LENGTH} characters")


def check_slug(text: str) -> None:
    """Refuse what cannot be the name of an organization.

    Raises:
        Invalid: it is none, or looks like an id.
    """
    if len(text) > SLUG_LENGTH or not _SLUG.fullmatch(text) or looks_like_id(text):
        raise Invalid(
            "name",
            f"{text!r} cannot be the name of an organization: up to {SLUG_LENGTH} lowercase letters and digits, "
            "with single dashes between them, and not what looks like an id",
        )


def check_text(field: str, text: str, longest: int, *, multiline: bool = False) -> None:
    """Refuse a text that is too long, or cannot be kept; see `can_be_kept`.

    Raises:
        Invalid: it is.
    """
    if len(text) > longest:
        raise Invalid(field, f"{field} has {len(text)} characters: at most {longest} are allowed")
    if not can_be_kept(text.replace("\n", "") if multiline else text):
        raise Invalid(field, f"{field} has control characters in it: {text!r}")
