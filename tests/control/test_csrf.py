"""Which requests pass that a browser was made to send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.control.csrf import by_cookie, origin_of, refuse_forged
from aibridge.domain.errors import Forbidden

OURS = ("https://ai.example.com", "http://10.0.0.5:4001")


def passes(method: str, **headers: str) -> bool:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    try:
        refuse_forged(method, raw, OURS)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert passes(method)
    assert passes(method, sec_fetch_site="cross-site", origin="https://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": " same-origin "},
        {"sec_fetch_site": "same-origin", "origin": "https://ai.example.com"},
        {"origin": "https://ai.example.com"},
        {"origin": "https://AI.example.com:443"},
        {"origin": "http://10.0.0.5:4001"},
        {"sec_fetch_site": "cross-site", "origin": "https://ai.example.com"},
        {"sec_fetch_site": "same-site", "origin": "https://ai.example.com"},
    ],
)
def test_what_a_page_of_ours_sends_passes(method: str, headers: dict[str, str]) -> None:
    assert passes(method, **headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"referer": "https://ai.example.com/"},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "SAME-ORIGIN"},
        {"sec_fetch_site": "same-origin, cross-site"},
        {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
        {"origin": ""},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "https://ai.example.com.evil.example"},
        {"origin": "https://evil.example/https://ai.example.com"},
        {"origin": "https://ai.example.com@evil.example"},
        {"origin": "https://evil@ai.example.com"},
        {"origin": "https://evil.example#ai.example.com"},
        {"origin": "https://xai.example.com"},
        {"origin": "https://sub.ai.example.com"},
        {"origin": "https://ai.example.com."},
        {"origin": "https://ai.example.com:8443"},
        {"origin": "http://ai.example.com"},
        {"origin": "http://10.0.0.5"},
        {"origin": "http://10.0.0.5:4002"},
        {"origin": "https://ai.example.com https://evil.example"},
        {"origin": "https://[::1"},
        {"origin": "https://ai.example.com:99999"},
        {"origin": "ftp://ai.example.com"},
        {"origin": "//ai.example.com"},
        {"origin": "ai.example.com"},
    ],
)
def test_what_may_be_from_elsewhere_does_not(method: str, headers: dict[str, str]) -> None:
    assert not passes(method, **headers)


@pytest.mark.parametrize(
    "raw",
    [
        [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")],
        [(b"origin", b"https://ai.example.com"), (b"origin", b"https://evil.example")],
    ],
)
def test_of_two_answers_the_worse_counts(raw: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Forbidden):
        refuse_forged("POST", raw, OURS)


def test_a_broken_url_of_ours_lets_nobody_pass() -> None:
    with pytest.raises(Forbidden):
        refuse_forged("POST", [(b"origin", b"null")], ["", "nonsense", "https://[::1"])


@pytest.mark.parametrize(
    ("headers", "query", "alone"),
    [
        ([(b"cookie", b"coder_session_token=T")], b"", True),
        ([(b"cookie", b"a=b; coder_session_token=T"), (b"authorization", b"Bearer other")], b"", True),
        ([(b"cookie", b"coder_session_token=T")], b"coder_session_token=junk", True),
        ([(b"cookie", b"coder_session_token=T"), (b"x-api-key", b"sk-provider")], b"a=T", True),
        ([(b"cookie", b"coder_session_token=other"), (b"authorization", b"Bearer T")], b"", False),
        ([(b"cookie", b"coder_session_token=T"), (b"authorization", b"Bearer T")], b"", False),
        ([(b"cookie", b"coder_session_token=T"), (b"coder-session-token", b"T")], b"", False),
        ([(b"x-api-key", b"sk-provider"), (b"coder-session-token", b"T")], b"", False),
        ([(b"x-api-key", b"T")], b"", False),
        ([], b"coder_session_token=T", False),
        ([(b"authorization", b"Basic T"), (b"cookie", b"coder_session_token=T")], b"", True),
    ],
)
def test_only_a_token_that_is_nowhere_else_came_by_the_cookie(
    headers: list[tuple[bytes, bytes]], query: bytes, *, alone: bool
) -> None:
    assert by_cookie("T", headers, query) is alone


@given(st.text())
def test_garbage_is_no_origin_and_never_raises(text: str) -> None:
    found = origin_of(text)

    assert found is None or found.startswith(("http://", "https://"))


def test_one_origin_has_one_form() -> None:
    assert origin_of("HTTPS://AI.Example.com/path?q#f") == "https://ai.example.com:443"
    assert origin_of("http://[::1]:80") == "http://[::1]:80" == origin_of("http://[::1]/")
