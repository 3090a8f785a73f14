"""Which headers pass, in both directions. The one place where this is decided.

To the provider by allow-list, since what is not known to be harmless may be a credential of ours or a way to steer the
provider's proxies. To the client by deny-list, since SDKs read more of the provider's headers every month.
"""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, in the order they came."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110, 7.6.1, and the older names still sent."""

TO_PROVIDER = frozenset(
    (
        b"accept",
        b"accept-language",
        b"content-type",
        b"idempotency-key",
        b"originator",
        b"session-id",
        b"session_id",
        b"thread-id",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"version",
        b"x-app",
        b"x-client-request-id",
        b"x-initiator",
        b"x-session-id",
    )
)
TO_PROVIDER_PREFIXES = (b"anthropic-", b"openai-", b"x-stainless-", b"x-claude-", b"x-codex-")
"""Open lists: clients add to them with every release, and dropping one breaks a feature."""

NOT_TO_CLIENT = HOP_BY_HOP | frozenset(
    (
        b"alt-svc",  # names a host that would be reached around the gateway
        b"anthropic-organization-id",
        b"authorization",
        b"content-length",  # written anew with the framing
        b"openai-organization",
        b"openai-project",
        b"set-cookie",
        b"x-api-key",
    )
)

_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b""))


def named_by_connection(headers: Headers) -> frozenset[bytes]:
    """The headers that `Connection` declares to be meant for this hop only (RFC 9110, 7.6.1)."""
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            token = value.strip().lower()
            if token not in _PLAIN_CONNECTION:
                named.update(part.strip() for part in token.split(b","))
    return frozenset(named)


def to_provider(headers: Headers) -> list[bytes]:
    """The header lines of a client's request that its provider may see."""
    private = named_by_connection(headers)
    lines: list[bytes] = []
    for name, value in headers:
        if (name in TO_PROVIDER or name.startswith(TO_PROVIDER_PREFIXES)) and name not in private:
            lines += (name, b": ", value, b"\r\n")
    return lines


def to_client(headers: Headers) -> list[bytes]:
    """The header lines of a provider's response that the client may see."""
    private = named_by_connection(headers)
    lines: list[bytes] = []
    for name, value in headers:
        if name not in NOT_TO_CLIENT and name not in private:
            lines += (name, b": ", value, b"\r\n")
    return lines


def value_of(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """The first value of a header, or None."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


_OURS_IN_QUERY = (b"coder_session_token", b"access_token", b"key", b"api_key")


def clean_query(query: bytes) -> bytes:
    """A query string without the parameters that carry credentials; the rest byte for byte."""
    if not any(name in query for name in _OURS_IN_QUERY):
        return query
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[0].lower() not in _OURS_IN_QUERY)
