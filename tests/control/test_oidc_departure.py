"""The cookie that spans a sign-in, and where one may end up."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.control.cookies import cookie
from aibridge.control.oidc_departure import LIFETIME, STATE_COOKIE, departure, local_path, read, signed
from aibridge.store.sealing import Keyring

NOW = 1_790_000_000.0
KEY, OTHER = bytes(range(32)), bytes(32)


def test_what_was_signed_is_read_until_it_is_too_old() -> None:
    begun = departure("/settings", NOW)
    text = signed(begun, [KEY])

    assert read(text, [KEY], NOW) == begun == read(text, [KEY], NOW + LIFETIME - 0.001)
    assert read(text, [KEY], NOW + LIFETIME) is None
    assert cookie(STATE_COOKIE, text, path="/", max_age=LIFETIME, secure=True)


def test_an_older_key_is_taken_and_a_strange_one_is_not() -> None:
    text = signed(departure("/", NOW), Keyring([KEY]).derived("x"))

    assert read(text, Keyring([OTHER, KEY]).derived("x"), NOW)
    assert read(text, Keyring([OTHER]).derived("x"), NOW) is None
    assert read(text, [], NOW) is None


@given(st.data())
def test_what_was_changed_is_not_read(data: st.DataObject) -> None:
    text = signed(departure("/", NOW), [KEY])
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters().filter(lambda new: new != text[at])) + text[at + 1 :]

    assert read(changed, [KEY], NOW) is None
    assert read(text[:at], [KEY], NOW) is None


@given(st.text())
def test_garbage_is_not_read(text: str) -> None:
    assert read(text, [KEY], NOW) is None


def test_what_another_version_of_ours_signed_is_passed_over() -> None:
    for body in ("e30", "", "AA", "bnVsbA"):
        signature = base64.urlsafe_b64encode(hmac.digest(KEY, body.encode(), "sha256")).decode().rstrip("=")
        assert read(f"{body}.{signature}", [KEY], NOW) is None


def test_the_challenge_is_that_of_rfc_7636() -> None:
    begun = departure("/", NOW)
    digest = hashlib.sha256(begun.verifier.encode()).digest()

    assert base64.urlsafe_b64decode(f"{begun.challenge}=") == digest
    assert 43 <= len(begun.verifier) <= 128
    assert begun.verifier not in repr(begun)


@pytest.mark.parametrize("path", ["/", "/a", "/a/b?c=d&e=https://x.example/", "/a%20b", "/@ada", "/a:b", "/x?y=//z"])
def test_paths_here(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/a\\..\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "HTTPS://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/a\r\nSet-Cookie: a=b",
        "/%2fevil.example",
        "/%2Fevil.example",
        "/%252fevil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/%0d%0aSet-Cookie:a",
        "/.//evil.example",
        "/a//evil.example",
        "/..//evil.example",
        "//evil.example@ai.example.com",
        "//ai.example.com@evil.example",
        "//[::1]/",
        "//127.0.0.1",
        "/\u2044evil.example",
        "/\uff0fevil.example",
        "/ä",
        "/a#//evil",
        "?next=/",
        "/" + "a" * 1024,
        "/\0",
    ],
)
def test_whatever_leads_elsewhere_leads_home(path: str) -> None:
    assert local_path(path) == "/"
    assert departure(path, NOW).then == "/"


@given(st.text(alphabet="/\\.%25cfF:@?a \t\n09", max_size=12))
def test_nothing_that_passes_begins_a_host(path: str) -> None:
    found = local_path(path)

    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
