"""Whose call it is: the order of tokens, the grouping of addresses, and whose word about an address counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.overload.caller import TrustedProxies, address_group, presented_token

COOKIE = (b"cookie", b"theme=dark; coder_session_token=from-cookie; a=b")
SESSION = (b"coder-session-token", b"from-header")
BEARER = (b"authorization", b"Bearer from-bearer")
API_KEY = (b"x-api-key", b"from-key")
QUERY = b"beta=true&coder_session_token=from-query"


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ([API_KEY, BEARER, SESSION, COOKIE], QUERY, "from-cookie"),
        ([API_KEY, BEARER, SESSION], QUERY, "from-query"),
        ([API_KEY, BEARER, SESSION], b"beta=true", "from-header"),
        ([API_KEY, BEARER], b"", "from-bearer"),
        ([API_KEY], b"", "from-key"),
        ([(b"accept", b"*/*")], b"", None),
    ],
)
def test_the_first_place_that_has_a_token_wins(
    headers: list[tuple[bytes, bytes]], query: bytes, token: str | None
) -> None:
    assert presented_token(headers, query) == token


@pytest.mark.parametrize(
    "empty",
    [
        (b"cookie", b"coder_session_token=; coder_session_token"),
        (b"cookie", b"coder_session_token=  "),
        (b"coder-session-token", b" "),
        (b"authorization", b""),
        (b"authorization", b"Bearer"),
        (b"authorization", b"Bearer "),
        (b"authorization", b"Bearer one two"),
        (b"authorization", b"Basic dXNlcjpwYXNz"),
    ],
)
def test_an_empty_or_foreign_value_counts_as_absent(empty: tuple[bytes, bytes]) -> None:
    assert presented_token([empty, API_KEY], b"coder_session_token=&coder_session_token=%20") == "from-key"


def test_an_empty_key_leaves_no_token() -> None:
    assert presented_token([(b"x-api-key", b"  ")], b"") is None


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_the_scheme_is_read_in_any_case_and_the_value_trimmed(scheme: bytes) -> None:
    assert presented_token([(b"authorization", b"  " + scheme + b"\t t0ken  ")], b"") == "t0ken"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"cookie", b'coder_session_token=" abc "'),
        (b"cookie", b"x=1;coder_session_token = abc ;y=2"),
        (b"coder-session-token", b" abc "),
        (b"x-api-key", b"\tabc"),
    ],
)
def test_values_are_trimmed(name: bytes, value: bytes) -> None:
    assert presented_token([(name, value)], b"") == "abc"


def test_a_query_parameter_is_decoded() -> None:
    assert presented_token([], b"coder_session_token=a%2Fb+c") == "a/b c"


def test_of_repeated_headers_the_first_with_a_value_counts() -> None:
    headers = [(b"x-api-key", b""), (b"x-api-key", b"one"), (b"x-api-key", b"two")]
    assert presented_token(headers, b"") == "one"


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"cookie", b"authorization", b"x-api-key", b"coder-session-token", b"host"]), st.binary()
        )
    ),
    query=st.binary(),
)
def test_garbage_never_raises_and_a_token_is_never_empty(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    token = presented_token(headers, query)
    assert token is None or token.encode()


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[2001:db8::1]:443", "2001:db8::/64"),
        ("192.0.2.7:1234", "192.0.2.7"),
        ("testclient", "testclient"),
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_an_address_is_counted_under(address: str, group: str) -> None:
    assert address_group(address) == group


@given(low=st.integers(0, 2**64 - 1))
def test_the_lower_half_of_an_ipv6_address_makes_no_new_caller(low: int) -> None:
    halves = ":".join(f"{low >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0))
    assert address_group(f"2001:db8:0:1:{halves}") == "2001:db8:0:1::/64"


PROXIES = TrustedProxies(["10.0.0.0/8", " 127.0.0.1", "2001:db8:f::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9, 10.3.3.3", "10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, ::ffff:10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("10.0.0.1", ["[2001:db8::9]"], "2001:db8::9"),
        ("2001:db8:f::1", ["2001:db8::9"], "2001:db8::9"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("testclient", ["203.0.113.9"], "testclient"),
        ("", ["203.0.113.9"], ""),
    ],
)
def test_the_client_is_the_nearest_address_no_trusted_proxy_has(
    peer: str, forwarded_for: list[str], client: str
) -> None:
    assert PROXIES.client_address(peer, forwarded_for) == client


def test_without_trusted_proxies_the_header_is_not_believed() -> None:
    assert TrustedProxies(()).client_address("127.0.0.1", ["203.0.113.9"]) == "127.0.0.1"


@pytest.mark.parametrize(
    "forwarded_for",
    [
        ["203.0.113.9, " + ", ".join(["10.9.9.9"] * 1000)],
        ["203.0.113.9", *["10.9.9.9"] * 1000],
    ],
    ids=["one header", "many headers"],
)
def test_of_a_thousand_entries_only_the_nearest_are_read(forwarded_for: list[str]) -> None:
    assert PROXIES.client_address("10.0.0.1", forwarded_for) == "10.9.9.9"


@given(peer=st.sampled_from(["10.0.0.1", "192.0.2.1"]), forwarded_for=st.lists(st.text()))
def test_a_header_of_garbage_never_raises(peer: str, forwarded_for: list[str]) -> None:
    assert PROXIES.client_address(peer, forwarded_for)


@pytest.mark.parametrize("cidr", ["10.0.0.0/33", "10.0.0.1/8", "localhost", ""])
def test_a_bad_network_is_named(cidr: str) -> None:
    with pytest.raises(ValueError, match=f"bad trusted proxy '{cidr}'"):
        TrustedProxies(["10.0.0.0/8", cidr])
