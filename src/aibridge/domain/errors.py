"""What may go wrong with a call, in words of the domain. Only the edge turns these into HTTP.

    CallError                      code                     status
    ├── Refused: we said no
    │   ├── Unauthenticated        unauthenticated          401
    │   ├── Forbidden              forbidden                403
    │   ├── RouteNotSupported      route_not_supported      404
    │   ├── RequestTimeout         request_timeout          408
    │   ├── BodyTooLarge           body_too_large           413
    │   ├── BadRequest             bad_request              400
    │   ├── UpgradeRequired        upgrade_required         426
    │   ├── BudgetSpent            budget_spent             402  nothing that a client should wait for
    │   ├── RateLimited            rate_limited             429  with the true wait
    │   ├── HeadersTooLarge        headers_too_large        431
    │   ├── NotSupported           not_supported            501
    │   ├── AtCapacity             at_capacity              503  with an estimate of the wait
    │   ├── CircuitOpen            circuit_open             503  with the time left
    │   ├── Draining               draining                 503
    │   ├── UpstreamForbidden      upstream_forbidden       502  not a place that we connect to
    │   └── LedgerUnavailable      ledger_unavailable       503
    ├── UpstreamFailed: the provider did not do its part
    │   ├── UpstreamUnreachable    upstream_unreachable     502
    │   ├── UpstreamBroke          upstream_broke           502
    │   └── UpstreamTimeout        upstream_timeout         504
    └── InternalError              internal_error           500  our own fault

A message names the limit and the number; it never holds a secret or a byte of the provider's.
"""

from typing import ClassVar, Self

from aibridge.overload.outcome import Rejection
from aibridge.overload.retry import Form, Policy

PATIENCE = 120.0
"""Seconds: what comes back later than this is nothing to wait for. Clients either hang on such a wait, the Anthropic
SDKs to the second, or ignore it and ask again at once."""


class CallError(Exception):
    """Any answer to a call that is not the provider's.

    `message` is the one line for people, `detail` what helps to act on it, `field` the offending part of the request
    where there is one. `rejection` is the limiter's own word where a limiter refused, and `policies` are the limits the
    call fell under, that one first. `retry_after` is in seconds, the rejection's unless given, absent where coming back
    would not help. `prepared` is for an error that is told again and again: what the edge has written by then.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        detail: str = "",
        *,
        field: str | None = None,
        rejection: Rejection | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.field = field
        self.rejection = rejection
        self.policies: tuple[Policy, ...] = ()
        self.prepared: dict[tuple[str, bool], Form] | None = None
        self.retry_after = rejection.retry_after if retry_after is None and rejection is not None else retry_after

    def lasting(self) -> Self:
        """The same, to be told again and again by `again`; never raised, so that it keeps no frames alive.

        What is rendered of either of the two is rendered for both.
        """
        before = self.rejection
        rejection = before and Rejection(before.limit, before.allowed, before.window, before.retry_after)
        lasting = type(self)(self.message, self.detail, field=self.field, rejection=rejection)
        lasting.policies = self.policies
        lasting.retry_after = self.retry_after
        if self.prepared is None:
            self.prepared = {}
        lasting.prepared = self.prepared
        return lasting

    def again(self, wait: float) -> Self:
        """The same with what is left of the wait, in seconds. To be answered before anybody is told the next time."""
        if self.rejection is not None:
            self.rejection.retry_after = wait
        if self.retry_after is not None:
            self.retry_after = wait
        return self


class Refused(CallError):  # noqa: N818 (domain words, not Python ones)
    """We said no."""


class Unauthenticated(Refused):
    """No token of ours, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    status = 401


class Forbidden(Refused):
    """A known caller asks for something it may not have."""

    code = "forbidden"
    status = 403


class RouteNotSupported(Refused):
    """The path or method is none the gateway relays."""

    code = "route_not_supported"
    status = 404


class RequestTimeout(Refused):
    """The request did not arrive within its deadline."""

    code = "request_timeout"
    status = 408


class BodyTooLarge(Refused):
    """The request body is larger than allowed."""

    code = "body_too_large"
    status = 413


class BadRequest(Refused):
    """The request cannot be understood."""

    code = "bad_request"
    status = 400


class UpgradeRequired(Refused):
    """A WebSocket was asked for; only plain HTTP is served. Clients fall back at once on 426."""

    code = "upgrade_required"
    status = 426


class BudgetSpent(Refused):
    """This caller has used up a limit, and what it may use next comes later than a client should wait for.

    The vendors' shapes for it differ in status as well: see `wire.errors`. `retry_after` is None, the time is in the
    rejection.
    """

    code = "budget_spent"
    status = 402

    @classmethod
    def caller(cls, message: str, detail: str, rejection: Rejection, policies: tuple[Policy, ...]) -> "BudgetSpent":
        """What a caller is told."""
        error = cls(message, detail, rejection=rejection)
        error.policies = policies
        error.retry_after = None
        return error


class RateLimited(Refused):
    """This caller exceeded its rate."""

    code = "rate_limited"
    status = 429

    @classmethod
    def caller(cls, detail: str, rejection: Rejection, policies: tuple[Policy, ...] = ()) -> "RateLimited":
        """What a caller is told, in the words that clients of other gateways know."""
        error = cls("You've been rate limited. Please try again later.", detail, rejection=rejection)
        error.policies = policies
        return error

    @classmethod
    def stranger(cls, rejection: Rejection) -> "RateLimited":
        """What somebody is told who tries too many tokens that are not valid."""
        tries = f"{rejection.allowed:g} calls in {rejection.window:g} s"
        return cls.caller(f"More than {tries} without a valid token from this address.", rejection)


class HeadersTooLarge(Refused):
    """The request's headers are larger or more than allowed."""

    code = "headers_too_large"
    status = 431


class NotSupported(Refused):
    """The provider offers this, the gateway does not."""

    code = "not_supported"
    status = 501


class AtCapacity(Refused):
    """All permits, or all connections to the provider, are taken."""

    code = "at_capacity"
    status = 503

    @classmethod
    def caller(
        cls,
        detail: str,
        *,
        rejection: Rejection | None = None,
        policies: tuple[Policy, ...] = (),
        retry_after: float | None = None,
    ) -> "AtCapacity":
        """What a caller is told, in the words that clients of other gateways know."""
        message = "AI Bridge is currently at capacity. Please try again later."
        error = cls(message, detail, rejection=rejection, retry_after=retry_after)
        error.policies = policies
        return error


class CircuitOpen(Refused):
    """A provider kept failing, and is left alone for a while."""

    code = "circuit_open"
    status = 503

    @classmethod
    def caller(cls, name: str, retry_after: float) -> "CircuitOpen":
        """What a caller is told. `name` is the breaker's, `retry_after` the seconds until it lets calls through."""
        return cls(
            "The provider is currently failing, so AI Bridge sends it no calls. Please try again later.",
            f"The circuit breaker {name} is open; it lets calls through again in {retry_after:.1f} s.",
            retry_after=retry_after,
        )


class Draining(Refused):
    """The gateway is about to stop and takes no new calls."""

    code = "draining"
    status = 503


class UpstreamForbidden(Refused):
    """The provider's address is one that the gateway does not connect to.

    Nobody was asked, and the provider may be well: so this is a refusal of ours, which opens no breaker and is not
    tried again.
    """

    code = "upstream_forbidden"
    status = 502

    @classmethod
    def caller(cls, reason: str) -> "UpstreamForbidden":
        """What a caller is told. `reason` says what is wrong with the address, and holds none."""
        return cls(
            "AI Bridge does not connect to where this provider is configured to be.",
            f"{reason} Only a provider that an administrator has flagged as internal may be there.",
        )


class LedgerUnavailable(Refused):
    """The journal cannot be written; what cannot be recorded is not served."""

    code = "ledger_unavailable"
    status = 503


class UpstreamFailed(CallError):  # noqa: N818 (as above)
    """The provider did not do its part."""

    code = "upstream_failed"
    status = 502


class UpstreamUnreachable(UpstreamFailed):
    """No connection: refused, unresolved, TLS failure, or no answer within the connect deadline."""

    code = "upstream_unreachable"
    status = 502


class UpstreamBroke(UpstreamFailed):
    """The connection ended, or stopped being HTTP, before the answer was whole."""

    code = "upstream_broke"
    status = 502


class UpstreamTimeout(UpstreamFailed):
    """The first byte, the next byte or the end did not come within its deadline."""

    code = "upstream_timeout"
    status = 504


class InternalError(CallError):
    """Our own fault. The cause is in the log under the request's id, never in the answer."""
