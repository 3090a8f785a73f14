"""What must never stand in the audit log: many may read it, and nothing is ever taken out of it."""

import re
from typing import Any

from aibridge.domain.rule import Unit
from aibridge.domain.token import PREFIX

_SECRETS = frozenset(
    (
        *("authorization", "cookie", "credential", "digest", "hash", "key", "passphrase"),
        *("password", "pin", "secret", "seed", "token"),
    )
)
"""Words of a field's name, in the singular, that say that its value is one."""
_ABOUT = frozenset(("id", "ids", "name", "names", "fingerprint", "count", "hint"))
"""Last words of a name that say that the value is only about one: `token_id`, `key_fingerprint`."""
_UNITS = frozenset(Unit)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_OURS = re.compile(rf"\b{PREFIX}[0-9A-Za-z]{{10}}_[0-9A-Za-z]{{43,}}")


def check_fields(value: object, name: str = "") -> None:
    """Refuse to write a secret down. What is no text or number says nothing: `{"password": True}` is that there is one.

    It is a mistake of the program that calls, not of whoever uses it.

    Raises:
        ValueError: the name of a field is that of a secret, or a text has a token of ours in it. It names the field and
            not the value.
    """
    if isinstance(value, dict):
        _check_all(value)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            check_fields(each, name)
    elif value is not None and not isinstance(value, bool) and _names_secret(name):
        raise ValueError(f"the field {name!r} is that of a secret, which is never written to the audit log")
    elif isinstance(value, str) and _OURS.search(value):
        raise ValueError(f"the field {name!r} has a token in it, which is never written to the audit log")


def _check_all(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        check_fields(value, str(name))


def _names_secret(name: str) -> bool:
    if name in _UNITS:
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and words[-1] not in _ABOUT and any(word.removesuffix("s") in _SECRETS for word in words)
