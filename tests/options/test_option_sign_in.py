"""The kinds of value that only sign-in and secrets at rest have."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge import options_sign_in as sign_in
from aibridge.options import OptionError, load
from aibridge.options_kinds import Kind

ORGANIZATION = "organization-admin:00000000-0000-4000-8000-000000000001"
KEY = bytes(range(32))
OTHER = bytes(32)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (sign_in.WORDS, "openid, email", ("openid", "email")),
        (sign_in.ROLES, f"auditor,{ORGANIZATION}", ("auditor", ORGANIZATION)),
        (sign_in.ROLES, "owner:00000000-0000-0000-0000-000000000000", ("owner",)),
        (sign_in.GROUP_MAPPING, '{"7f3c": "developers"}', {"7f3c": "developers"}),
        (sign_in.GROUP_MAPPING, "{}", {}),
        (
            sign_in.ROLE_MAPPING,
            '{"admins": ["owner", "auditor"], "none": []}',
            {"admins": ("owner", "auditor"), "none": ()},
        ),
        (sign_in.EXPRESSION, "^eng-", "^eng-"),
        (sign_in.MASTER_KEYS, KEY.hex(), (KEY,)),
        (sign_in.MASTER_KEYS, base64.b64encode(KEY).decode(), (KEY,)),
        (sign_in.MASTER_KEYS, f"{KEY.hex().upper()}, {base64.b64encode(OTHER).decode()}", (KEY, OTHER)),
    ],
)
def test_text_becomes_a_value(kind: Kind, text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (sign_in.WORDS, "openid,"),
        (sign_in.WORDS, "openid email"),
        (sign_in.ROLES, "ownr"),
        (sign_in.ROLES, "organization-admin"),
        (sign_in.ROLES, "organization-admin:acme"),
        (sign_in.GROUP_MAPPING, "developers"),
        (sign_in.GROUP_MAPPING, '["developers"]'),
        (sign_in.GROUP_MAPPING, '{"7f3c": 1}'),
        (sign_in.GROUP_MAPPING, '{"7f3c": ""}'),
        (sign_in.GROUP_MAPPING, "[" * 100_000),
        (sign_in.ROLE_MAPPING, '{"admins": "owner"}'),
        (sign_in.ROLE_MAPPING, '{"admins": ["ownr"]}'),
        (sign_in.EXPRESSION, "("),
        (sign_in.MASTER_KEYS, "ab" * 31),
        (sign_in.MASTER_KEYS, "zz" * 32),
        (sign_in.MASTER_KEYS, base64.b64encode(KEY[:31]).decode()),
        (sign_in.MASTER_KEYS, base64.b64encode(KEY + b"!").decode()),
        (sign_in.MASTER_KEYS, f"{KEY.hex()},{KEY.hex().upper()}"),
        (sign_in.MASTER_KEYS, f"{KEY.hex()},"),
    ],
)
def test_other_text_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        kind.parse(text)


@given(st.text())
def test_garbage_never_raises_anything_but_value_error(text: str) -> None:
    for kind in (sign_in.WORDS, sign_in.ROLES, sign_in.GROUP_MAPPING, sign_in.ROLE_MAPPING, sign_in.MASTER_KEYS):
        try:
            kind.parse(text)
        except ValueError:
            continue


def test_a_key_that_is_refused_is_not_shown() -> None:
    with pytest.raises(OptionError) as caught:
        load({"--aibridge-encryption-keys": "abc123"}, {})

    assert "abc123" not in str(caught.value)
    assert re.search(r"--aibridge-encryption-keys: the value .*; allowed: keys of 32 bytes", str(caught.value))
