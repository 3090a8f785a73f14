"""One recorded call: what is known when it starts, and how it ended."""

from enum import StrEnum

import msgspec

from aibridge.domain.usage import Usage, UsageSource


class Status(StrEnum):
    """How an interception ended."""

    COMPLETED = "completed"
    """The provider answered with success and the client got every byte."""
    FAILED = "failed"
    """The provider answered with an error, could not be reached, broke off or ran out of time; or we failed."""
    CANCELLED = "cancelled"
    """The client left before the end."""
    INTERRUPTED = "interrupted"
    """The gateway was stopped or killed before the end."""


class Interception(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a call once it is admitted and its body was peeked at. Instants are UTC microseconds."""

    id: str
    actor_id: str
    token_id: str
    provider: str
    route: str
    """The provider's path, for example `/v1/messages`."""
    model: str
    streaming: bool
    client: str
    """The program that calls, for example `Claude Code`; `Unknown` when it cannot be told."""
    session_id: str | None
    """The client's own name for the conversation, where it gives one."""
    user_agent: str
    started_at: int


class Ending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How an interception ended. Instants are UTC microseconds."""

    id: str
    status: Status
    http_status: int | None = None
    """The status code the client was given, absent when it left before there was one."""
    error: str | None = None
    """What went wrong, absent when nothing did.

    The `code` of one of `domain.errors`; the provider's own error type, or `http_NNN` where it gave none;
    `client_gone`; `interrupted`.
    """
    first_byte_at: int | None = None
    """When the first byte of the provider's answer arrived."""
    ended_at: int
    response_id: str | None = None
    """The provider's name for its response."""
    usage: Usage | None = None
    usage_source: UsageSource = UsageSource.UNKNOWN
