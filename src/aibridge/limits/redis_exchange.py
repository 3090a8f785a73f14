"""The conversation of one replica with Redis or Valkey: who speaks when, and what happens when nobody answers.

What is to be said gathers while the last answer is awaited, and goes as one request: calls that come in one turn of
the loop, or within one round trip, share the next one. Nobody waits for anything but a decision, and for that one
request's patience at most. After a request without an answer nobody waits at all: the exchange is `away` until one
in the background was answered, which also restores what the server has missed.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from aibridge.limits.redis_outbox import News, Outbox
from aibridge.limits.redis_questions import MOST_READS, Questions
from aibridge.limits.redis_script import (
    MICROSECONDS,
    Answer,
    Decision,
    Read,
    Request,
    Settled,
    Word,
    decode,
    encode,
    settled,
)
from aibridge.limits.redis_server import Server, Unreachable

BEAT = 0.5
"""Seconds between two signs of life, and between two attempts to reach a server that is away."""

LINGER = 0.002
"""Seconds that a correction waits for a question to go with."""

FAREWELL = 1.0
"""Seconds that `close` may take to give everything back."""

_MEMORY = 8
"""Beats: so long a replica that is not seen is counted all the same, if the server has forgotten everything."""

_log = logging.getLogger(__name__)


class Exchange:
    """Says requests one after another until `close`. For one event loop, whose clock is the only one used here.

    `lease` is for how long, in seconds, what is held stays so without a further word, and this replica is counted
    among the living; leases are renewed every third of it. `replicas` is how many there are while nobody has counted.
    `told` hears of breakers that opened or closed elsewhere, `counted` when the number of replicas changed.
    """

    def __init__(  # noqa: PLR0913 - by keyword, made in one place
        self,
        server: Server,
        *,
        prefix: str,
        replica: str,
        lease: float,
        replicas: int,
        told: Callable[[str, float], None],
        counted: Callable[[int], None],
    ) -> None:
        self.away = True
        self.outbox = Outbox()
        self.answered = asyncio.Event()
        """Set once the first request had an answer, or none."""
        self._server = server
        self._prefix = prefix
        self._replica = replica
        self._lease = lease
        self._told = told
        self._counted = counted
        self._news = News()
        self._living = deque((replicas,), maxlen=_MEMORY)
        self._questions = Questions()
        self._wake = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._beat_at = self._renew_at = self._loop.time()
        self._talk = asyncio.create_task(self._converse())

    async def decide(self, words: tuple[Word, ...]) -> Decision | None:
        """The server's decision about a call, or None where it is away. Cancelled, it leaves nothing taken."""
        if self.away:
            return None
        decision = self._questions.decide(words, self._loop.time())
        self._wake.set()
        try:
            return await decision
        except asyncio.CancelledError:
            if decision.done() and not decision.cancelled():  # it came while the caller was leaving
                self._give_back(words, decision.result())
            raise

    async def read(self, reads: list[Read]) -> list[float] | None:
        """What is used of each, or None if the server is away."""
        used: list[float] = []
        for start in range(0, len(reads), MOST_READS):
            if self.away:
                return None
            part = self._questions.read(reads[start : start + MOST_READS])
            self._wake.set()
            used += await part or ()
        return None if self.away else used

    def release(self, number: int, entries: list[Settled]) -> None:
        """A call has ended: keep nothing of it alive, and have these corrected soon."""
        self.outbox.release(number, entries)
        self._linger()

    def charge(self, words: tuple[Word, ...]) -> None:
        """Have counted what was admitted without asking."""
        self.outbox.charge(words, self._loop.time())

    def trip(self, breaker: str, seconds: float) -> None:
        """Tell the others of a breaker that opened for so long; 0.0 for a reset."""
        self._news.tripped(breaker, seconds, self._loop.time())
        self._wake.set()

    @property
    def replicas(self) -> int:
        """How many replicas share the counts, as far as is known; at least 1."""
        return max(1, *self._living)

    async def close(self) -> None:
        """Give back everything, within `FAREWELL` seconds, and end."""
        self._talk.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._talk
        self._questions.give_up()
        if not self.away:
            self.away = True
            self.outbox.leave()
            self.outbox.settle([Settled.release(f"{self._prefix}replicas", self._replica)])
            with contextlib.suppress(Unreachable, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    while not self.outbox.empty:
                        await self._say(self._request(beat=False, fill=True))
        await self._server.close()

    async def _converse(self) -> None:
        while True:
            self._wake.clear()
            now = self._loop.time()
            # A server that is away is asked for a sign of life and no more: what it heard then is never known.
            request = self._request(beat=self.away or now >= self._beat_at, fill=not self.away)
            self._questions.pick(request, now)
            try:
                self._hear(request, await self._say(request))
            except Unreachable as error:
                self._part(str(error))
            except Exception:  # noqa: BLE001 - logged; whatever it was, those who wait must not wait for ever
                _log.exception("limits: an answer of Redis could not be heeded")
                self._part("see above")
            self.answered.set()
            if self.away:
                await asyncio.sleep(BEAT)
            else:
                await self._next()

    async def _next(self) -> None:
        """Wait until there is something to say, or it is time for a sign of life."""
        if not (self._questions or self.outbox.many):
            if not self.outbox.empty:
                self._linger()
            timer = self._loop.call_at(self._beat_at, self._wake.set)
            await self._wake.wait()
            timer.cancel()
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _request(self, *, beat: bool, fill: bool) -> Request:
        now = self._loop.time()
        lease = int(self._lease * MICROSECONDS)
        request = Request(prefix=self._prefix, replica=self._replica, lease=lease, seen=self._news.seen, beat=beat)
        if beat:
            self._beat_at = now + BEAT
        if now >= self._renew_at:
            self._renew_at = now + self._lease / 3
            self.outbox.renew()
        if fill:
            request.trips = self._news.unsaid(now)
            self.outbox.fill(request, now)
        return request

    async def _say(self, request: Request) -> Answer:
        try:
            return decode(await self._server.say(encode(request)))
        except BaseException as error:
            self.outbox.failed(request)
            self._news.again(request.trips)
            if isinstance(error, msgspec.DecodeError):
                raise Unreachable(f"not an answer: {error}") from error
            raise

    def _hear(self, request: Request, answer: Answer) -> None:
        now = self._loop.time()
        if self.away:
            self.away = False
            _log.info("limits: counts are shared over Redis (%d corrections lost)", self.outbox.lost)
            self.outbox.lost = 0
            self.outbox.renew()
        elif answer.fresh:
            self.outbox.renew()
        for words, decision in self._questions.answer(answer):
            self._give_back(words, decision)
        if request.beat:
            self._count(answer.alive)
        for breaker, seconds in self._news.heard(answer.news, answer.breakers, now):
            self._told(breaker, seconds)

    def _count(self, alive: int) -> None:
        before = self.replicas
        self._living.append(alive)
        if self.replicas != before:
            self._counted(self.replicas)

    def _part(self, reason: str) -> None:
        """From now on nobody waits for the server."""
        if not self.away or not self.answered.is_set():
            _log.warning("limits: Redis is away (%s); each replica keeps to its share", reason)
        self.away = True
        self._questions.give_up()

    def _give_back(self, words: tuple[Word, ...], decision: Decision | None) -> None:
        """Undo what was taken for a caller who has left."""
        if decision is not None and not decision.refused:
            words = decision.counted(words)
            self.outbox.settle(settled(words, [0.0] * len(words), decision.at))
            self._linger()

    def _linger(self) -> None:
        if self._lingering is None:
            self._lingering = self._loop.call_later(LINGER, self._wake.set)
