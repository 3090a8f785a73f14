"""Server-side request forgery by a custom host: every way to write a place that only the gateway can reach."""

# ruff: noqa: S104 (nobody binds to these)

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.upstream_address import fault, forbidden, insecure, objection, written_address

FORBIDDEN = {
    "0.0.0.0": "unspecified",
    "0.255.255.255": "unspecified",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.64.0.0": "shared (carrier-grade NAT)",
    "100.100.100.200": "shared (carrier-grade NAT)",
    "100.127.255.255": "shared (carrier-grade NAT)",
    "127.0.0.1": "loopback",
    "127.255.255.255": "loopback",
    "168.63.129.16": "metadata",
    "169.254.0.1": "link-local",
    "169.254.169.254": "link-local",
    "172.16.0.0": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "reserved",
    "192.0.2.1": "documentation",
    "192.88.99.1": "reserved",
    "192.168.0.1": "private",
    "192.168.255.255": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "reserved",
    "::ffff:127.0.0.1": "IPv4-mapped",
    "::ffff:8.8.8.8": "IPv4-mapped",
    "::ffff:0:127.0.0.1": "reserved",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1::1": "reserved",
    "100::1": "reserved",
    "2001::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "reserved",
    "fc00::1": "unique local",
    "fd00:ec2::254": "unique local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}
NAT64 = IPv6Network("64:ff9b::/96")
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "2001:4860:4860::8888",
    "64:ff9b::8.8.8.8",
)
WRITTEN = {
    "2130706433": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0X7F.1": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "0177.0.0.01": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "127.65535": "127.0.255.255",
    "0": "0.0.0.0",
    "0x0": "0.0.0.0",
    "00": "0.0.0.0",
    "4294967295": "255.255.255.255",
    "0xa9fea9fe": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "0251.0376.0251.0376": "169.254.169.254",
    "169.254.43518": "169.254.169.254",
    "10.1": "10.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "2130706433.": "127.0.0.1",
    "[::1]": "::1",
    "::1": "::1",
    "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[::ffff:7f00:1]": "::ffff:7f00:1",
    "[0:0:0:0:0:ffff:127.0.0.1]": "::ffff:7f00:1",
}
NAMES = (
    "api.openai.com",
    "127.0.0.1.example.com",
    "a",
    "",
    "127.0.0.256",
    "127.0.256.1",
    "4294967296",
    "1.2.3.4.5",
    "1..2",
    "08",
    "0xg",
    "-1",
    "1_0",
    "\N{FULLWIDTH DIGIT ONE}.1",
    "[::g]",
)


@pytest.mark.parametrize(("address", "kind"), FORBIDDEN.items())
def test_what_is_not_public_is_forbidden(address: str, kind: str) -> None:
    assert fault(address) == kind


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address: str) -> None:
    assert fault(address) is None
    assert forbidden([address]) is None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_passes_that_the_standard_library_knows_to_be_special(address: IPv4Address | IPv6Address) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local
    if special and address not in NAT64:
        assert fault(str(address)) is not None


@pytest.mark.parametrize(("text", "address"), WRITTEN.items())
def test_an_address_is_read_however_it_is_written(text: str, address: str) -> None:
    assert written_address(text) == ip_address(address)


@pytest.mark.parametrize("text", [text for text in WRITTEN if ":" not in text and not text.endswith(".")])
def test_it_is_read_as_the_resolver_reads_it(text: str) -> None:
    assert written_address(text) == IPv4Address(socket.inet_aton(text))


@given(st.from_regex(r"(0x)?[0-9a-f]{1,10}(\.(0x)?[0-9a-f]{1,4}){0,4}", fullmatch=True))
def test_whatever_the_resolver_takes_for_an_address_is_one(text: str) -> None:
    try:
        expected = IPv4Address(socket.inet_aton(text))
    except OSError:
        return
    assert written_address(text) == expected


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_no_address(text: str) -> None:
    assert written_address(text) is None


def provider(url: str, *, internal: bool = False) -> Provider:
    return Provider.at("p", ProviderKind.OPENAI, url, internal=internal)


@pytest.mark.parametrize(
    "host",
    [
        *(text for text in WRITTEN if ":" not in text),
        *(text for text in WRITTEN if text.startswith("[")),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-loopback"),
    ],
)
def test_custom_host_validation_knows_every_spelling(host: str) -> None:
    found = objection(provider(f"https://{host}/v1"))
    assert found is not None
    assert "is not public" in found
    assert objection(provider(f"https://{host}:8443/v1")) == found
    assert objection(provider(f"https://{host}/v1", internal=True)) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://user@127.0.0.1/v1",
        "https://@127.0.0.1/v1",
        "https://:@127.0.0.1/v1",
        "https://api.openai.com@127.0.0.1/v1",
        "https://api.openai.com\\@127.0.0.1/v1",
        "https://127.0.0.1\\.example.com/v1",
        "https://127.0.0.1%2f.example.com/v1",
        "https://%31%32%37.0.0.1/v1",
        "https://127.0.0.1%00.example.com",
        "https://[fe80::1%25eth0]/v1",
        "https://[::1",
        "https://[127.0.0.1]/",
        "https://\N{FULLWIDTH DIGIT ONE}27.0.0.1/v1",
        "https://127\N{IDEOGRAPHIC FULL STOP}0.0.1/v1",
        "https://\N{CIRCLED LATIN SMALL LETTER L}ocalhost/v1",
        "https://exa\N{SOFT HYPHEN}mple.com/v1",
        "https://a..b/",
        "https://.example.com/",
        f"https://{'a' * 64}.example.com/",
        f"https://{'a.' * 127}com/",
        "https://*.example.com/",
        "gopher://127.0.0.1:6379/_",
        "file:///etc/passwd",
    ],
)
def test_custom_host_validation_takes_nothing_that_two_programs_read_in_two_ways(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        provider(url)


@pytest.mark.parametrize(
    "host", ["api.openai.com", "xn--bcher-kva.example", "8.8.8.8", "my_gateway.example", "a--b.example"]
)
def test_a_public_host_is_no_objection(host: str) -> None:
    assert objection(provider(f"https://{host}/v1")) is None


def test_a_key_goes_over_tls_alone() -> None:
    plain = provider("http://api.openai.com/v1")
    assert objection(plain) == insecure(tls=False)
    assert objection(provider("http://api.openai.com/v1", internal=True)) is None
    assert insecure(tls=True) is None


def test_one_address_that_is_forbidden_is_enough() -> None:
    assert forbidden(["8.8.8.8", "10.0.0.1"]) is not None
    assert forbidden(["10.0.0.1", "8.8.8.8"]) is not None
    assert forbidden(["8.8.8.8", "1.1.1.1"]) is None


def test_a_reason_holds_no_address() -> None:
    reason = forbidden(["10.11.12.13"])
    assert reason is not None
    assert "10.11.12.13" not in reason
    assert "private" in reason
