"""Which passwords are taken, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.password import MAXIMUM_LENGTH, normalized, objections

LENGTH = "A password has 8 to 64 characters, not {}."
COMMON = "This password is one of the commonest, or nearly one, and would be guessed first."
NAME = "A password is not one's username or email address, nor that with something around it."
DIFFERENT = "A password has at least 4 different characters."
CONTROL = "A password has no control characters in it, and no halves of characters."


@pytest.mark.parametrize(
    "password",
    [
        "SomeSecurePassword!",
        "tr4verse-",
        "correct horse battery stapler",
        "naïve Größe 東京",
        "       aX!",
        "🔑🗝🔐🔏🔓🔒🪪🧿",
        "ab1!" * 16,
        "13579246",
    ],
)
def test_a_password_that_nobody_would_try_first_is_taken(password: str) -> None:
    assert objections(password, username="ada", email="ada.lovelace@example.com") == []


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("", [LENGTH.format(0), DIFFERENT]),
        ("x7!kQ2p", [LENGTH.format(7)]),
        ("ab1!" * 16 + "x", [LENGTH.format(65)]),
        ("password", [COMMON]),
        ("Password1!", [COMMON]),
        ("!!PASSWORD2026", [COMMON]),
        ("P@ssw0rd", [COMMON]),
        ("1q2w3e4r", [COMMON]),
        ("aibridge2026", [COMMON]),
        ("12345678", [COMMON]),
        ("1234567890", [COMMON]),
        ("76543210", [COMMON]),
        ("67890123", [COMMON]),
        ("32109876", [COMMON]),
        ("hgfedcba", [COMMON]),
        ("aaaaaaaa", [DIFFERENT]),
        ("abababab", [DIFFERENT]),
        ("adalovelace", [NAME]),
        ("AdaLovelace99", [NAME]),
        ("99!adalovelace?", [NAME]),
        ("ada.l@example.com", [NAME]),
        ("ada.l@example.com1", [NAME]),
        ("1234Ada.L", [NAME]),
        ("pass\0word-x", [CONTROL]),
        ("pass\ud800word-x", [CONTROL]),
    ],
)
def test_other_passwords_are_refused_with_the_reason(password: str, expected: list[str]) -> None:
    assert objections(password, username="AdaLovelace", email="Ada.L@example.com") == expected


def test_a_name_that_ends_in_digits_is_no_more_of_a_password() -> None:
    assert objections("adalovelace7", username="adalovelace42") == [NAME]


def test_who_has_no_name_yet_is_not_compared_with_nothing() -> None:
    assert objections("2468!1357?90") == []


def test_two_ways_of_typing_one_password_are_one() -> None:
    assert normalized("\uff30ass\u0041\u030a") == "Pass\u00c5"
    assert objections("\uff50assword") == [COMMON]
    assert objections("e\u0301" * 60 + "abcd1!") == [LENGTH.format(66)]


@given(st.text(), st.text(), st.text())
def test_garbage_never_raises_and_what_is_taken_can_be_hashed(password: str, username: str, email: str) -> None:
    if not objections(password, username=username, email=email):
        assert 8 <= len(normalized(password)) <= MAXIMUM_LENGTH
        assert normalized(password).encode()
