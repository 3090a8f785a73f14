"""A gateway of this room's primitives: a limit, a queue before it, a breaker, and retries within a budget."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aibridge.overload.adaptive import AdaptiveLimiter
from aibridge.overload.backlog import Backlog
from aibridge.overload.breaker import Breaker, Ticket
from aibridge.overload.concurrency import ConcurrencyLimiter, Permit
from aibridge.overload.outcome import Outcome, Rejection
from aibridge.overload.retry import hint
from aibridge.overload.retry_budget import RetryBudget
from aibridge.overload.simulation.timeline import Luck, Timeline
from aibridge.overload.simulation.traffic import Call, Traffic
from aibridge.overload.simulation.upstream import Upstream, Work

UNLIMITED = 1_000_000_000


@dataclass(slots=True, frozen=True)
class GatewayRule:
    """What a gateway is made of; each part is made anew for a run.

    `queue_size` calls wait for a permit, each for `queue_timeout` seconds: fairly among flows, or, unless `fair`, as
    if all were one. A call that the provider refuses is sent up to `tries` times as long as the budget, if there is
    one, allows; after the time that the provider asked for, or, of a gateway that does not listen, `retry_wait`.
    """

    limiter: Callable[[], ConcurrencyLimiter] = lambda: ConcurrencyLimiter(UNLIMITED, "gateway")
    queue_size: int = 0
    queue_timeout: float = 5.0
    fair: bool = True
    breaker: Callable[[], Breaker] | None = None
    tries: int = 1
    budget: Callable[[], RetryBudget] | None = None
    retry_wait: float | None = None


class Gateway:
    """A gateway at work.

    `calls` are the instants at which callers came; `turned_away` (refused by itself) and `retries` count what it did.
    """

    __slots__ = (
        "_backlog",
        "_breaker",
        "_budget",
        "_luck",
        "_timeline",
        "_traffic",
        "calls",
        "limiter",
        "retries",
        "rule",
        "turned_away",
        "upstream",
    )

    def __init__(self, rule: GatewayRule, upstream: Upstream, traffic: Traffic, timeline: Timeline, luck: Luck) -> None:
        self.rule = rule
        self.upstream = upstream
        self.limiter = rule.limiter()
        self.calls: list[float] = []
        self.turned_away = 0
        self.retries = 0
        self._traffic = traffic
        self._timeline = timeline
        self._luck = luck
        self._backlog: Backlog[_Visit] | None = Backlog(rule.queue_size) if rule.queue_size else None
        self._breaker = rule.breaker() if rule.breaker else None
        self._budget = rule.budget() if rule.budget else None

    def send(self, call: Call) -> None:
        """Take a call from its caller, who is told of its fate through the traffic."""
        self.calls.append(self._timeline.now)
        if self._budget is not None:
            self._budget.deposit(self._timeline.now)
        self._admit(_Visit(self, call))

    def _admit(self, visit: "_Visit") -> None:
        now = self._timeline.now
        entered = self.limiter.enter(now)
        flow, group = self._line(visit)
        if isinstance(entered, Permit):
            if self._backlog is not None:
                self._backlog.charge(flow, group, 1.0, now)
            self._forward(visit, entered)
        elif self._backlog is None:
            self._turn_away(visit, entered.retry_after)
        else:
            visit.wait = entered.retry_after
            deadline = now + self.rule.queue_timeout
            # It weighs nothing in line: it is charged above, when it comes back with a permit.
            lost = self._backlog.join(visit, now, flow=flow, group=group, deadline=deadline, weight=0.0)
            if lost is not None:
                self._turn_away(lost, lost.wait)
            self._timeline.after(self.rule.queue_timeout, partial(self._expire, self._backlog))

    def _line(self, visit: "_Visit") -> tuple[str, str]:
        """The flow and the group in which a call stands in line."""
        return (visit.call.flow.name, visit.call.flow.group) if self.rule.fair else ("", "")

    def _expire(self, backlog: "Backlog[_Visit]") -> None:
        for visit in backlog.expire(self._timeline.now):
            self._turn_away(visit, visit.wait)

    def _turn_away(self, visit: "_Visit", wait: float) -> None:
        self.turned_away += 1
        self._traffic.refused(visit.call, wait)

    def _forward(self, visit: "_Visit", permit: Permit) -> None:
        now = self._timeline.now
        visit.permit = permit
        if self._breaker is not None:
            entered = self._breaker.enter(now)
            if isinstance(entered, Rejection):
                self.limiter.leave(permit, Outcome.IGNORED, now)
                self._turn_away(visit, entered.retry_after)
                return
            visit.ticket = entered
        visit.sent_at = now
        self.upstream.send(visit)

    def refused(self, visit: "_Visit", retry_after: float) -> None:
        """The provider refused a call: try again, if that is allowed, or say so to the caller."""
        now = self._timeline.now
        if isinstance(self.limiter, AdaptiveLimiter):
            self.limiter.leave(visit.permit, Outcome.FAILURE, now, overloaded=True)
        else:
            self.limiter.leave(visit.permit, Outcome.FAILURE, now)
        self._report(visit, Outcome.FAILURE)
        visit.tries += 1
        if visit.tries < self.rule.tries and (self._budget is None or self._budget.withdraw(now)):
            self.retries += 1
            wait = self.rule.retry_wait
            if wait is None:
                wait = hint(retry_after, self._luck()).milliseconds / 1000.0
            self._timeline.after(wait, partial(self._admit, visit))
        else:
            self._traffic.refused(visit.call, retry_after)
        self._let_in()

    def answered(self, visit: "_Visit") -> None:
        """The first byte of an answer came."""
        now = self._timeline.now
        visit.call.answered_at = now
        if isinstance(self.limiter, AdaptiveLimiter):
            self.limiter.answered(visit.permit, now - visit.sent_at, now)
            self._let_in()

    def ended(self, visit: "_Visit", *, well: bool) -> None:
        """An answer is complete, or broke off."""
        outcome = Outcome.SUCCESS if well else Outcome.FAILURE
        self.limiter.leave(visit.permit, outcome, self._timeline.now)
        self._report(visit, outcome)
        self._traffic.ended(visit.call, well=well)
        self._let_in()

    def _report(self, visit: "_Visit", outcome: Outcome) -> None:
        if self._breaker is not None:
            self._breaker.leave(visit.ticket, outcome, self._timeline.now)

    def _let_in(self) -> None:
        """Give permits that are free to those who wait."""
        now = self._timeline.now
        while self._backlog and self.limiter.in_flight < self.limiter.maximum:
            visit = self._backlog.next(now)
            if visit is None:
                break  # all of them have waited too long, and are about to be told
            self._admit(visit)


@dataclass(slots=True, eq=False)
class _Visit:
    """A call on its way through the gateway: what the provider sees of it, and what the gateway remembers."""

    gateway: Gateway
    call: Call
    tries: int = 0
    wait: float = 0.0  # what to say if it has waited in vain
    sent_at: float = 0.0
    permit: Permit = field(init=False)
    ticket: Ticket = field(init=False)

    @property
    def work(self) -> Work:
        return self.call.work

    @property
    def had_answer(self) -> bool:
        return self.call.answered_at is not None

    def refused(self, retry_after: float) -> None:
        self.gateway.refused(self, retry_after)

    def answered(self) -> None:
        self.gateway.answered(self)

    def ended(self, *, well: bool) -> None:
        self.gateway.ended(self, well=well)
