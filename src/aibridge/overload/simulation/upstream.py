"""A provider of language models: slots, a short queue before them, refusals beyond."""

from collections import deque
from dataclasses import dataclass
from functools import partial
from math import cos, exp, log, sqrt, tau
from typing import Protocol

from aibridge.overload.simulation.timeline import Luck, Timeline


@dataclass(slots=True, frozen=True)
class UpstreamModel:
    """How a provider behaves.

    It works on `slots` calls at a time; `queue` more wait, so that their first byte comes later, and who comes then is
    refused after a `round_trip` and told to come back in `retry_after` seconds. The first byte takes `first_byte`
    seconds on average, the rest `mean` seconds, both log-normally distributed with the shapes `first_sigma` and
    `sigma`; a shape of 0 makes all alike. A share of `breaking_off` calls dies half way through. A refusal costs a slot
    for `refusal_cost` seconds, before anybody who waits: with that, retries can keep a provider down for ever.
    """

    slots: int = 100
    queue: int = 50
    first_byte: float = 0.3
    first_sigma: float = 0.0
    mean: float = 8.0
    sigma: float = 1.0
    breaking_off: float = 0.0
    round_trip: float = 0.05
    retry_after: float = 1.0
    refusal_cost: float = 0.0

    @property
    def capacity(self) -> float:
        """Calls per second, if a slot were held for the mean time and never empty."""
        return self.slots / self.mean

    def draw(self, luck: Luck) -> "Work":
        """What a call will take."""
        return Work(
            first_byte=_log_normal(self.first_byte, self.first_sigma, luck),
            rest=_log_normal(self.mean, self.sigma, luck),
            breaks_off=luck() < self.breaking_off,
        )


@dataclass(slots=True, frozen=True)
class Work:
    """What a call takes: seconds to the first byte and from there to the last, or half of that if it `breaks_off`."""

    first_byte: float
    rest: float
    breaks_off: bool


def _log_normal(mean: float, sigma: float, luck: Luck) -> float:
    normal = sqrt(-2.0 * log(1.0 - luck())) * cos(tau * luck())  # Box and Muller, 1958
    return mean * exp(sigma * normal - sigma**2 / 2.0)


class Visitor(Protocol):
    """A request to the provider, and what it is told."""

    @property
    def work(self) -> Work:
        """What the call takes."""
        ...

    @property
    def had_answer(self) -> bool:
        """Whether a byte of an answer came already, to an earlier request of the same call."""
        ...

    def refused(self, retry_after: float) -> None:
        """There is no room; the provider asks to wait so many seconds."""
        ...

    def answered(self) -> None:
        """The first byte is here."""
        ...

    def ended(self, *, well: bool) -> None:
        """The last byte is here, or the connection broke."""
        ...


class Upstream:
    """A provider at work. `requests` are the instants of what it saw; `refusals` and `late` count those among them."""

    __slots__ = ("_busy", "_model", "_refusing", "_slots", "_timeline", "_waiting", "late", "refusals", "requests")

    def __init__(self, model: UpstreamModel, timeline: Timeline) -> None:
        self.requests: list[float] = []
        self.refusals = 0
        self.late = 0
        self._model = model
        self._timeline = timeline
        self._slots = model.slots
        self._busy = 0
        self._refusing = 0  # refusals whose cost is still to be paid
        self._waiting: deque[Visitor] = deque()

    def send(self, visitor: Visitor) -> None:
        """Take a request, let it wait, or refuse it."""
        self.requests.append(self._timeline.now)
        self.late += visitor.had_answer
        if len(self._waiting) < self._model.queue or self._busy < self._slots:
            self._waiting.append(visitor)
            self._start()
        else:
            self.refusals += 1
            self._refusing += self._model.refusal_cost > 0.0
            self._timeline.after(self._model.round_trip, partial(visitor.refused, self._model.retry_after))

    def resize(self, share: float) -> None:
        """From now on it has this share of its slots. Calls that have begun are finished."""
        self._slots = int(self._model.slots * share)
        self._start()

    def _start(self) -> None:
        """Fill the free slots: with the work of refusing, then with those who wait."""
        while self._busy < self._slots and (self._refusing or self._waiting):
            self._busy += 1
            if self._refusing:
                self._refusing -= 1
                self._timeline.after(self._model.refusal_cost, self._free)
            else:
                visitor = self._waiting.popleft()
                work = visitor.work
                rest = work.rest / 2.0 if work.breaks_off else work.rest
                self._timeline.after(work.first_byte, visitor.answered)
                self._timeline.after(work.first_byte + rest, partial(self._end, visitor))

    def _end(self, visitor: Visitor) -> None:
        self._free()
        visitor.ended(well=not visitor.work.breaks_off)

    def _free(self) -> None:
        self._busy -= 1
        self._start()
