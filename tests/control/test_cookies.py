"""The cookies that we set, word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.control.cookies import cleared_session_cookie, cookie, is_secure, session_cookie


def test_the_session_cookie_word_by_word() -> None:
    assert session_cookie("aib_x_y", max_age=86400.0, secure=False) == (
        "coder_session_token=aib_x_y; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"
    )
    assert session_cookie("aib_x_y", max_age=60.9, secure=True) == (
        "coder_session_token=aib_x_y; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    )
    assert cleared_session_cookie(secure=True) == (
        "coder_session_token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
    )


@pytest.mark.parametrize("value", ["a;b", "a b", 'a"b', "a,b", "a\\b", "a\r\nb", "ä", "a\x7f"])
def test_what_cannot_stand_in_a_cookie_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="coder_session_token") as caught:
        session_cookie(value, max_age=1.0, secure=True)
    assert value not in str(caught.value)


@given(st.text("!#$%&'()*+-./0:<=>?@A[]^_`a{|}~"))
def test_everything_else_can(value: str) -> None:
    assert f"name={value}; " in cookie("name", value, path="/", max_age=1.0, secure=False)


@pytest.mark.parametrize(
    ("url", "option", "secure"),
    [
        ("https://ai.example.com", False, True),
        ("http://ai.example.com", False, False),
        ("http://ai.example.com", True, True),
        ("", False, False),
    ],
)
def test_where_people_come_by_https_cookies_do_too(url: str, *, option: bool, secure: bool) -> None:
    assert is_secure(url, option=option) is secure
