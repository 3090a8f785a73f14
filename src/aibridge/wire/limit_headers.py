"""The vendors' own headers about limits, which SDKs and people's scripts read; beside the standard's, never instead.

Only of what the vendors limit, requests and tokens, and only when such a limit refused: then nothing remains for a call
like that one.
"""

from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

from aibridge.domain.errors import CallError
from aibridge.overload.retry import LAST_INSTANT

_OPENAI = {
    "requests": "requests",
    "input-tokens": "tokens",
    "output-tokens": "tokens",
    "total-tokens": "tokens",
}
"""From a policy's unit to the word in OpenAI's reference ("Rate limits", "Rate limits in headers")."""

_ANTHROPIC = {
    "requests": "requests",
    "input-tokens": "input-tokens",
    "output-tokens": "output-tokens",
    "total-tokens": "tokens",
}
"""From a policy's unit to the word in Anthropic's reference ("Rate limits", "Response headers")."""


def openai_limit_headers(error: CallError, reset: str) -> list[tuple[str, str]]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`."""
    policy = next(iter(error.policies), None)
    kind = _OPENAI.get(policy.unit) if policy is not None else None
    if policy is None or kind is None or error.rejection is None:
        return []
    return [
        (f"x-ratelimit-limit-{kind}", str(policy.quota)),
        (f"x-ratelimit-remaining-{kind}", "0"),
        (f"x-ratelimit-reset-{kind}", reset),
    ]


def openai_reset(wait: float) -> str:
    """The true wait, in seconds from now, as in `1.234s`."""
    return f"{ceil(wait * 1000) / 1000:.3f}s"


def anthropic_limit_headers(error: CallError, reset: str) -> list[tuple[str, str]]:
    """`anthropic-ratelimit-{requests,tokens,…}-{limit,remaining,reset}`."""
    policy = next(iter(error.policies), None)
    kind = _ANTHROPIC.get(policy.unit) if policy is not None else None
    if policy is None or kind is None or error.rejection is None:
        return []
    return [
        (f"anthropic-ratelimit-{kind}-limit", str(policy.quota)),
        (f"anthropic-ratelimit-{kind}-remaining", "0"),
        (f"anthropic-ratelimit-{kind}-reset", reset),
    ]


def anthropic_reset(wait: float, now: float) -> str:
    """The instant at which the wait, in seconds, is over (RFC 3339); `now` is the wall time in UTC seconds."""
    return _instant(min(ceil(now + wait), LAST_INSTANT))


@lru_cache(64)
def _instant(second: int) -> str:
    """An instant, in UTC seconds. Those who wait for the same limit are told the same one."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
