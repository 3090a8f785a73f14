"""Providers, built from their base URLs."""

import pytest

from aibridge.domain.provider import Origin, Provider, ProviderKind

GOOD = (
    ("https://api.openai.com/v1", Origin(tls=True, host="api.openai.com", port=443), "/v1", "api.openai.com"),
    ("https://api.anthropic.com/", Origin(tls=True, host="api.anthropic.com", port=443), "", "api.anthropic.com"),
    ("http://LOCALHOST:8080/a/b//", Origin(tls=False, host="localhost", port=8080), "/a/b", "localhost:8080"),
    ("http://[::1]:80", Origin(tls=False, host="::1", port=80), "", "[::1]"),
    ("https://[::1]:80", Origin(tls=True, host="::1", port=80), "", "[::1]:80"),
)
BAD = (
    "",
    "api.openai.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "https://",
    "https:///v1",
    "https://user@example.com",
    "https://user:secret@example.com",
    "https://example.com/v1?key=secret",
    "https://example.com/v1#part",
    "https://example.com:port",
    "https://example.com:99999",
    "http://[::1",
)


@pytest.mark.parametrize(("url", "origin", "path", "host"), GOOD)
def test_a_base_url_is_an_origin_and_a_path(url: str, origin: Origin, path: str, host: str) -> None:
    provider = Provider.at("p", ProviderKind.OPENAI, url, "secret")
    assert (provider.origin, provider.base_path, str(provider.origin)) == (origin, path, host)
    assert Provider.at("p", ProviderKind.OPENAI, provider.base_url, "secret") == provider


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Provider.at("p", ProviderKind.OPENAI, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://example.com/a b", "https://example.com/\r\nx: y", "https://exa mple.com", "https://ex\tample.com"]
)
def test_a_url_cannot_hold_what_a_request_line_cannot(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Provider.at("p", ProviderKind.OPENAI, url)


def test_a_provider_never_shows_its_key() -> None:
    provider = Provider.at("p", ProviderKind.ANTHROPIC, "https://example.com", "secret")
    assert "secret" not in f"{provider!r} {provider} {[provider]}"
