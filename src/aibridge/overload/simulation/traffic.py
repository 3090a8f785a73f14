"""People who call: at their own pace or one call after the other, with the patience and the retries of their SDKs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import log

from aibridge.overload.retry import hint
from aibridge.overload.simulation.timeline import Luck, Timeline
from aibridge.overload.simulation.upstream import UpstreamModel, Work


@dataclass(slots=True, frozen=True)
class Flow:
    """Those who are counted as one caller.

    Either `rate` calls per second come at random (Poisson), whatever happens to them; or each of `clients` calls again
    as soon as it has its answer. A refused call is tried again `retries` times, when the refusal said; the SDKs of
    OpenAI and Anthropic do so twice. It was of use if it ended well within `patience` seconds of the first try.
    """

    name: str
    group: str = ""
    rate: float = 0.0
    clients: int = 0
    retries: int = 0
    patience: float = 45.0


@dataclass(slots=True, eq=False)
class Call:
    """A call, from the first try to the end. `work` is what the provider will have with it."""

    flow: Flow
    arrived_at: float
    work: Work
    tries: int = 0
    answered_at: float | None = None
    ended_at: float | None = None
    well: bool = False

    @property
    def served(self) -> bool:
        """Whether it was of use to the caller."""
        return self.well and self.ended_at is not None and self.ended_at - self.arrived_at <= self.flow.patience


class Traffic:
    """All callers. They begin no call after `until` seconds; `calls` are those they made."""

    __slots__ = ("_luck", "_model", "_send", "_timeline", "_until", "calls")

    def __init__(self, model: UpstreamModel, timeline: Timeline, luck: Luck, until: float) -> None:
        self.calls: list[Call] = []
        self._model = model
        self._timeline = timeline
        self._luck = luck
        self._until = until
        self._send: Callable[[Call], None]

    def begin(self, flows: Sequence[Flow], send: Callable[[Call], None]) -> None:
        """Let the callers loose on a gateway's `send`.

        What comes at random is drawn now, so that it is the same whatever the gateway does.
        """
        self._send = send
        for flow in flows:
            for _ in range(flow.clients):
                self._timeline.after(0.0, partial(self._call_again, flow))
            at = self._gap(flow)
            while at < self._until:
                self._timeline.after(at, partial(self._try, self._drawn(flow, at)))
                at += self._gap(flow)

    def refused(self, call: Call, wait: float) -> None:
        """Tell a caller that the gateway, or the provider through it, cannot take the call for `wait` seconds."""
        seconds = hint(wait, self._luck()).seconds
        if call.tries <= call.flow.retries:
            self._timeline.after(seconds, partial(self._try, call))
        else:
            self._over(call, rest=seconds)

    def ended(self, call: Call, *, well: bool) -> None:
        """Tell a caller that the answer is complete, or broke off; SDKs do not retry what has begun."""
        call.well = well
        self._over(call, rest=0.0)

    def _gap(self, flow: Flow) -> float:
        return -log(1.0 - self._luck()) / flow.rate if flow.rate else self._until

    def _drawn(self, flow: Flow, at: float) -> Call:
        call = Call(flow, at, self._model.draw(self._luck))
        self.calls.append(call)
        return call

    def _try(self, call: Call) -> None:
        call.tries += 1
        self._send(call)

    def _over(self, call: Call, rest: float) -> None:
        call.ended_at = self._timeline.now
        if call.flow.clients:
            self._timeline.after(rest, partial(self._call_again, call.flow))

    def _call_again(self, flow: Flow) -> None:
        if self._timeline.now < self._until:
            self._try(self._drawn(flow, self._timeline.now))
