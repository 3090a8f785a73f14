"""A limit as people write it: for whom, of what, how much, and what happens above it."""

from enum import StrEnum

import msgspec


class Unit(StrEnum):
    """What a rule counts."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    """What goes in, from the prompt cache or not."""
    OUTPUT_TOKENS = "output_tokens"
    TOTAL_TOKENS = "total_tokens"
    COST = "cost"
    """Nano-dollars, by the configured prices."""
    CONCURRENT = "concurrent"
    """Calls in progress."""


class Subject(StrEnum):
    """For whom a rule counts apart."""

    EVERYONE = "everyone"
    """One count for all."""
    ORGANIZATION = "organization"
    USER = "user"
    TOKEN = "token"  # noqa: S105 (a word, no credential)
    ADDRESS = "address"
    """The client's address, IPv6 by /64."""


class Mode(StrEnum):
    """What a rule does above its limit."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Refuses nothing, and counts what it would have refused."""


_WEIGHED = frozenset((Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS, Unit.TOTAL_TOKENS, Unit.COST))


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit.

    At most `amount` of `unit` in `window` seconds, or, of a unit that is held (`concurrent`, window 0), at one time.
    `burst` is what a quiet subject may spend at once: without one, requests are counted exactly (never more than
    `amount` in any window), and weighed units may spend `amount` at once. `only` restricts the rule to subjects whose
    name matches one of these patterns (usernames, organization and token ids, networks). `organization` is the id of
    the one organization whose actors it is for, None for those of all. `provider` and `model` are patterns with `*`
    and `?`. Callers above a held limit wait up to `queue_timeout` seconds, `queue_size` of them.
    """

    name: str
    unit: Unit
    amount: int
    window: float = 0.0
    burst: int | None = None
    subject: Subject = Subject.EVERYONE
    only: tuple[str, ...] = ()
    organization: str | None = None
    provider: str = "*"
    model: str = "*"
    mode: Mode = Mode.ENFORCE
    queue_timeout: float = 0.0
    queue_size: int = 0

    @property
    def held(self) -> bool:
        """Whether it counts what is in progress, and not what was spent."""
        return self.unit is Unit.CONCURRENT

    @property
    def exact(self) -> bool:
        """Whether each call is counted by itself, and never more than the amount in any window."""
        return self.unit is Unit.REQUESTS and self.burst is None

    @property
    def queues(self) -> bool:
        """Whether callers can wait for it."""
        return self.held and self.queue_timeout > 0.0 and self.queue_size > 0

    @property
    def weighed(self) -> bool:
        """Whether a call's cost is estimated when it is admitted and known when it has ended."""
        return self.unit in _WEIGHED

    @property
    def needs_body(self) -> bool:
        """Whether it can only be decided when the request's body is here."""
        return self.weighed or self.model != "*"
