"""Who waits for an answer of Redis or Valkey: those not asked for yet, and those of the request that is under way."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from aibridge.limits import redis_server
from aibridge.limits.redis_script import Answer, Decision, Read, Request, Word

MOST_CALLS = 64
MOST_READS = 64
"""How many calls one request decides at most, and how many counts it reads: the server does nothing else meanwhile."""

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Question:
    """A call to be decided; None is the answer of a server that is away."""

    words: tuple[Word, ...]
    decision: asyncio.Future[Decision | None]
    since: float


@dataclass(slots=True, eq=False)
class _Reading:
    """What somebody wants to know; None as above."""

    reads: list[Read]
    used: asyncio.Future[list[float] | None]


class Questions:
    """Calls to be decided and counts to be read, in the order in which they came. For one event loop."""

    __slots__ = ("_asked", "_asked_to_read", "_questions", "_readings")

    def __init__(self) -> None:
        self._questions: deque[_Question] = deque()
        self._readings: deque[_Reading] = deque()
        self._asked: list[_Question] = []
        self._asked_to_read: list[_Reading] = []

    def __bool__(self) -> bool:
        """Whether anything is to be asked."""
        return bool(self._questions or self._readings)

    def decide(self, words: tuple[Word, ...], now: float) -> asyncio.Future[Decision | None]:
        """Ask for a decision about a call. Who cancels it wants none any more."""
        question = _Question(words, asyncio.get_running_loop().create_future(), now)
        self._questions.append(question)
        return question.decision

    def read(self, reads: list[Read]) -> asyncio.Future[list[float] | None]:
        """Ask what is used of each; at most `MOST_READS`."""
        reading = _Reading(reads, asyncio.get_running_loop().create_future())
        self._readings.append(reading)
        return reading.used

    def pick(self, request: Request, now: float) -> None:
        """Put them into a request. Who has waited too long already shall decide without the server."""
        while self._questions and len(self._asked) < MOST_CALLS:
            question = self._questions.popleft()
            if now - question.since > redis_server.PATIENCE:
                _resolve(question.decision, None)
            elif not question.decision.done():
                self._asked.append(question)
        request.takes = [question.words for question in self._asked]
        if self._readings:
            self._asked_to_read.append(self._readings.popleft())
            request.reads = self._asked_to_read[0].reads

    def answer(self, answer: Answer) -> Iterator[tuple[tuple[Word, ...], Decision]]:
        """Give everybody who was asked for the answer; of those who have left meanwhile, what was decided."""
        asked, self._asked = self._asked, []
        for question, decision in zip(asked, answer.decisions, strict=True):
            if question.decision.done():
                yield question.words, decision
            else:
                question.decision.set_result(decision)
        for reading in self._asked_to_read:
            _resolve(reading.used, answer.used)
        self._asked_to_read.clear()

    def give_up(self) -> None:
        """There will be no answer."""
        for question in (*self._asked, *self._questions):
            _resolve(question.decision, None)
        for reading in (*self._asked_to_read, *self._readings):
            _resolve(reading.used, None)
        for waiting in (self._asked, self._questions, self._asked_to_read, self._readings):
            waiting.clear()


def _resolve(future: asyncio.Future[_T | None], result: _T | None) -> None:
    if not future.done():
        future.set_result(result)
