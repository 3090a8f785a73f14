"""Errors as callers read them: the management shape and a vendor family's own, in one JSON object.

Each family has one table from the domain's codes to its words. A word that says "overloaded" makes clients come back,
whatever the status (Claude Code retries even a 403 that says so), so only refusals that pass by themselves carry it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec

from aibridge.domain.errors import BudgetSpent, CallError
from aibridge.wire.limit_headers import (
    anthropic_limit_headers,
    anthropic_reset,
    openai_limit_headers,
    openai_reset,
)

_encode = msgspec.json.Encoder().encode


class Family(Protocol):
    """How the errors of one vendor's routes look. All that a relayed route without a dialect needs."""

    def status_of(self, error: CallError) -> int:
        """The HTTP status of an answer that is ours: the error's own, unless the vendor has another for it."""

    def render(self, error: CallError, request_id: str) -> bytes:
        """The JSON body of an answer that is ours."""

    def limit_headers(self, error: CallError, reset: str) -> list[tuple[str, str]]:
        """The vendor's own headers about a limit that refused; `reset` is when there is more, or a place for that."""

    def reset(self, wait: float, now: float) -> str:
        """When there is more, as the vendor says it: in `wait` seconds from `now`, the wall time in UTC seconds."""


class Plain:
    """Routes of no vendor: the management shape alone."""

    def status_of(self, error: CallError) -> int:
        """The error's own."""
        return error.status

    def render(self, error: CallError, request_id: str) -> bytes:
        """The JSON body of an answer that is ours."""
        return _encode(_management(error, request_id))

    def limit_headers(self, error: CallError, reset: str) -> list[tuple[str, str]]:  # noqa: ARG002 (of a protocol)
        """None: the fields of the standard are said anyway."""
        return []

    def reset(self, wait: float, now: float) -> str:  # noqa: ARG002 (of a protocol)
        """Nothing, as there is no header for it."""
        return ""


class OpenAIFamily(Plain):
    """`error: {message, type, param, code}`, as OpenAI's reference has it ("Error codes")."""

    def status_of(self, error: CallError) -> int:
        """The error's own, but what is spent is a 429 here, told apart by its code alone."""
        return HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, BudgetSpent) else error.status

    def render(self, error: CallError, request_id: str) -> bytes:
        """The JSON body of an answer that is ours."""
        return _encode({**_management(error, request_id), "error": openai_error(error)})

    def limit_headers(self, error: CallError, reset: str) -> list[tuple[str, str]]:
        """`x-ratelimit-…`."""
        return openai_limit_headers(error, reset)

    def reset(self, wait: float, now: float) -> str:  # noqa: ARG002 (of a protocol)
        """The time until there is more."""
        return openai_reset(wait)


class AnthropicFamily(Plain):
    """`type: "error"`, `error: {type, message}`, `request_id`, as Anthropic's reference has it ("Errors")."""

    def render(self, error: CallError, request_id: str) -> bytes:
        """The JSON body of an answer that is ours."""
        return _encode({**_management(error, request_id), "type": "error", "error": anthropic_error(error)})

    def limit_headers(self, error: CallError, reset: str) -> list[tuple[str, str]]:
        """`anthropic-ratelimit-…`."""
        return anthropic_limit_headers(error, reset)

    def reset(self, wait: float, now: float) -> str:
        """The instant at which there is more."""
        return anthropic_reset(wait, now)


def openai_error(error: CallError) -> dict[str, str | None]:
    """The error object of the OpenAI family. `type` and `code` are always strings: Vercel's SDK insists."""
    kind, code = _OPENAI[error.code]
    return {"message": error.message, "type": kind, "param": error.field, "code": code}


def anthropic_error(error: CallError) -> dict[str, str]:
    """The error object of the Anthropic family."""
    return {"type": _ANTHROPIC[error.code], "message": error.message}


def server_sent(data: Mapping[str, object], name: str | None = None) -> bytes:
    """One event of an event stream."""
    event = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (event, _encode(data))


def _management(error: CallError, request_id: str) -> dict[str, object]:
    validations = [{"field": error.field, "detail": error.message}] if error.field else []
    return {
        "message": error.message,
        "detail": error.detail,
        "validations": validations,
        "request_id": request_id,
    }


PLAIN = Plain()
OPENAI = OpenAIFamily()
ANTHROPIC = AnthropicFamily()

_OPENAI = {
    "unauthenticated": ("invalid_request_error", "invalid_api_key"),
    "forbidden": ("permission_error", "forbidden"),
    "route_not_supported": ("invalid_request_error", "route_not_supported"),
    "request_timeout": ("timeout_error", "request_timeout"),
    "body_too_large": ("invalid_request_error", "body_too_large"),
    "bad_request": ("invalid_request_error", "bad_request"),
    "upgrade_required": ("invalid_request_error", "upgrade_required"),
    "budget_spent": ("insufficient_quota", "insufficient_quota"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "headers_too_large": ("invalid_request_error", "headers_too_large"),
    "not_supported": ("invalid_request_error", "not_supported"),
    "at_capacity": ("server_error", "overloaded"),
    "circuit_open": ("server_error", "overloaded"),
    "draining": ("server_error", "overloaded"),
    "ledger_unavailable": ("server_error", "overloaded"),
    "upstream_failed": ("server_error", "upstream_failed"),
    "upstream_forbidden": ("server_error", "upstream_forbidden"),
    "upstream_unreachable": ("server_error", "upstream_unreachable"),
    "upstream_broke": ("server_error", "upstream_broke"),
    "upstream_timeout": ("timeout_error", "upstream_timeout"),
    "internal_error": ("server_error", "internal_error"),
}
"""From the domain's code to OpenAI's (type, code)."""

_ANTHROPIC = {
    "unauthenticated": "authentication_error",
    "forbidden": "permission_error",
    "route_not_supported": "not_found_error",
    "request_timeout": "timeout_error",
    "body_too_large": "request_too_large",
    "bad_request": "invalid_request_error",
    "upgrade_required": "invalid_request_error",
    "budget_spent": "billing_error",
    "rate_limited": "rate_limit_error",
    "headers_too_large": "request_too_large",
    "not_supported": "invalid_request_error",
    "at_capacity": "overloaded_error",
    "circuit_open": "overloaded_error",
    "draining": "overloaded_error",
    "ledger_unavailable": "overloaded_error",
    "upstream_failed": "api_error",
    "upstream_forbidden": "api_error",
    "upstream_unreachable": "api_error",
    "upstream_broke": "api_error",
    "upstream_timeout": "timeout_error",
    "internal_error": "api_error",
}
"""From the domain's code to Anthropic's error type."""
