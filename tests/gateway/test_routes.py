"""Routes alone: what is relayed, where to, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import PROVIDERS, ROUTES, pool_of

from aibridge.domain.provider import Provider, ProviderKind
from aibridge.domain.provider_name import LONGEST, RESERVED_NAMES
from aibridge.gateway.routes import PREFIXES, Routes

INTERCEPTIONS = (
    (b"openai/v1/chat/completions", b"/v1/chat/completions", "openai.chat"),
    (b"openai/v1/responses", b"/v1/responses", "openai.responses"),
    (b"anthropic/v1/messages", b"/v1/messages", "anthropic.messages"),
)
PASSED = (
    (b"GET", b"openai/v1/models", b"/v1/models"),
    (b"GET", b"openai/v1/models/gpt-5", b"/v1/models/gpt-5"),
    (b"POST", b"openai/v1/conversations", b"/v1/conversations"),
    (b"DELETE", b"openai/v1/conversations/c/items/i", b"/v1/conversations/c/items/i"),
    (b"GET", b"openai/v1/responses/r", b"/v1/responses/r"),
    (b"POST", b"openai/v1/responses/r/cancel", b"/v1/responses/r/cancel"),
    (b"GET", b"anthropic/v1/models", b"/v1/models"),
    (b"POST", b"anthropic/v1/messages/count_tokens", b"/v1/messages/count_tokens"),
    (b"POST", b"anthropic/api/event_logging/batch", b"/api/event_logging/batch"),
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("path", "upstream", "dialect"), INTERCEPTIONS)
def test_interceptions_are_found_under_every_prefix(prefix: bytes, path: bytes, upstream: bytes, dialect: str) -> None:
    found = ROUTES.find(b"POST", prefix + path)
    assert found is not None
    assert found.upstream_path == upstream
    assert (found.route.recorded, found.route.dialect.name, found.route.path) == (True, dialect, upstream.decode())
    for method in (b"GET", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS"):
        assert ROUTES.find(method, prefix + path) is None


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("method", "path", "upstream"), PASSED)
def test_the_rest_of_the_list_is_passed_through(prefix: bytes, method: bytes, path: bytes, upstream: bytes) -> None:
    found = ROUTES.find(method, prefix + path)
    assert found is not None
    assert (found.upstream_path, found.route.recorded) == (upstream, False)


@pytest.mark.parametrize("base", ["https://example.com", "https://example.com/", "https://example.com/gw/v1/"])
def test_the_base_urls_path_comes_first(base: str) -> None:
    routes = Routes([Provider.at("own", ProviderKind.OPENAI, base)], pool_of)
    found = routes.find(b"POST", b"/own/v1/chat/completions")
    assert found is not None
    assert found.upstream_path == base.removeprefix("https://example.com").rstrip("/").encode() + b"/chat/completions"
    assert found.route.host == b"example.com"


@pytest.mark.parametrize(
    "name", [*sorted(RESERVED_NAMES), "a" * (LONGEST + 1), "", "OpenAI", "a_b", "-a", "a-", "a--b", "a/b", "ä", "a.b"]
)
def test_a_name_that_is_reserved_or_malformed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="provider's name"):
        Routes([Provider.at(name, ProviderKind.OPENAI, "https://example.com")], pool_of)


def test_names_that_begin_alike_are_told_apart() -> None:
    routes = Routes(
        [Provider.at(name, ProviderKind.OPENAI, f"https://{name}.example/v1") for name in ("openai", "openai-eu")],
        pool_of,
    )
    for name in ("openai", "openai-eu"):
        found = routes.find(b"POST", f"/{name}/v1/responses".encode())
        assert found is not None
        assert found.route.provider.name == name
    assert routes.find(b"POST", b"/openai-us/v1/responses") is None


def test_territory_is_what_stands_below_a_providers_name() -> None:
    for prefix in PREFIXES:
        provider = ROUTES.provider_of(prefix + b"anthropic/what/ever")
        assert provider is PROVIDERS[1]
    for path in (
        b"/",
        b"/healthz",
        b"/openaix/v1",
        b"/api/v2/aibridge/interceptions",
        b"/x/openai/v1/models",
        b"*",
        b"",
    ):
        assert ROUTES.provider_of(path) is None
        assert ROUTES.find(b"GET", path) is None


def test_a_probe_is_a_head_of_a_base() -> None:
    for path in (b"/openai", b"/openai/", b"/openai/v1", b"/anthropic/v1/", b"/anthropic/api/hello"):
        assert ROUTES.is_probe(b"HEAD", path)
        assert not ROUTES.is_probe(b"GET", path)
    assert not ROUTES.is_probe(b"HEAD", b"/openai/v1/models")


CLIMBING = [
    b"..",
    b"//",
    b"%2e",
    b"%2E",
    b"%2f",
    b"%2F",
    b"%5c",
    b"%5C",
    b"\\",
    b"#",
    b"%00",
    b"/../",
    b"/./..",
    b"/..;/",
]


@given(st.lists(st.sampled_from([*CLIMBING, b"a", b"/", b"models", b"%25"]), max_size=6).map(b"".join))
def test_nothing_that_climbs_is_found(tail: bytes) -> None:
    for start in (b"/openai/v1/models/", b"/openai/v1/responses/", b"/anthropic/api/event_logging/", b"/openai"):
        found = ROUTES.find(b"GET", start + tail)
        if found is not None:
            assert not any(climb in tail for climb in CLIMBING)
            assert found.upstream_path.startswith((b"/v1/models/", b"/v1/responses/", b"/api/event_logging/"))
