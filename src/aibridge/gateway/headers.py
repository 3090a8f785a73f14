"""Which headers pass, in both directions. The one place where this is decided.

To the provider by allow-list, since what is not known to be harmless may be a credential of ours or a way to steer the
provider's proxies. To the client by deny-list, since SDKs read more of the provider's headers every month.
"""

from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, in the order they came."""
Fields = dict[bytes, bytes]
"""The same by name; of a header that stands twice, the last."""

HOP_BY_HOP: Final = frozenset(
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

TO_PROVIDER: Final = frozenset(
    (
        b"accept",
        b"accept-language",
        b"content-encoding",
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
TO_PROVIDER_PREFIXES: Final = (b"anthropic-", b"openai-", b"x-stainless-", b"x-claude-", b"x-codex-")
"""Open lists: clients add to them with every release, and dropping one breaks a feature."""

NOT_TO_CLIENT: Final = HOP_BY_HOP | frozenset(
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

_PLAIN_CONNECTION: Final = frozenset((b"keep-alive", b"close", b""))
_NONE: Final[frozenset[bytes]] = frozenset()


def private_to_hop(headers: Headers, fields: Fields) -> frozenset[bytes]:
    """The headers that `Connection` declares to be meant for this hop only (RFC 9110, 7.6.1)."""
    if b"connection" not in fields:
        return _NONE
    if len(fields) == len(headers) and fields[b"connection"].lower() in _PLAIN_CONNECTION:  # none stands twice
        return _NONE
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(part.strip() for part in value.lower().split(b","))
    return frozenset(named)


@lru_cache(maxsize=1024)
def passes_to_provider(name: bytes) -> bool:
    """Whether a client's header is one that its provider may see."""
    return name in TO_PROVIDER or name.startswith(TO_PROVIDER_PREFIXES)


def to_provider(headers: Headers, fields: Fields) -> list[bytes]:
    """The header lines of a client's request that its provider may see."""
    private = private_to_hop(headers, fields)
    return [
        b"%b: %b\r\n" % (name, value) for name, value in headers if passes_to_provider(name) and name not in private
    ]


def to_client(headers: Headers, fields: Fields) -> list[bytes]:
    """The header lines of a provider's response that the client may see."""
    private = private_to_hop(headers, fields)
    return [
        b"%b: %b\r\n" % (name, value) for name, value in headers if name not in NOT_TO_CLIENT and name not in private
    ]


_OURS_IN_QUERY: Final = (b"coder_session_token", b"access_token", b"key", b"api_key")


def clean_query(query: bytes) -> bytes:
    """A query string without the parameters that carry credentials, however written; the rest byte for byte."""
    lowered = query.lower()
    if b"%" not in query and not any(name in lowered for name in _OURS_IN_QUERY):
        return query
    return b"&".join(part for part in query.split(b"&") if _name_in(part) not in _OURS_IN_QUERY)


def _name_in(parameter: bytes) -> bytes:
    return unquote_to_bytes(parameter.partition(b"=")[0]).lower()
