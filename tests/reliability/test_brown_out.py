"""A brown-out of a provider behind a real gateway, with callers that retry: the gateway adds little to the storm.

`test_retry_storm` shows the same of the same budget in a simulated gateway, for minutes. Here a gateway of its own
process is between a provider and callers that count. Retries are counted by the call that they are for, and the
provider's capacity goes by the clock, so that a machine that is busy with other things changes little.
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from math import inf
from pathlib import Path
from random import Random
from time import monotonic
from urllib.parse import urlsplit

from clients.running import Running, running_server
from conftest import Told
from gateway_world import run
from raw_client import Answer, Client
from scripted_upstream import Incoming, listening
from vendor_samples import CHAT

SLOTS, LEFT = 20, 6
"""Of the provider, and those left in the brown-out: 30 %."""
HELD = 0.125
"""Seconds for which a call holds a slot, on average."""
REFUSING = HELD / 12
"""Seconds for which a refusal does: three tries of a gateway for each of three of a caller keep the provider down."""
LONGEST_WAIT = HELD / 2
"""Seconds for which a call waits for a slot. Where it would be longer, the provider refuses at once."""
BREAKING_OFF = 30
"""One answer in so many breaks off half way through."""
RATE = 0.9 * SLOTS / HELD
"""Callers that come in a second, whatever becomes of those before."""
TRIES, FIRST_PAUSE, JITTER = 3, 0.5, 0.25
"""Of a caller, as of the SDKs: the second try comes after a pause in seconds, the third after two; less a share."""

USUAL, DARK, LONGEST_RECOVERY = 1.2, 4.0, 6.0
"""Seconds before the brown-out, in it, and after it at most."""
STRETCH = 1.0
"""Seconds over which served callers are counted."""
PATIENCE = 8.0
"""Seconds after which a caller leaves, answered or not."""
LONGEST = 40.0
"""Seconds that all of it may take; usually it is a quarter of that."""

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


BEGINNING = HEAD + chunk(CHAT.events[0])
REST = chunk(b"".join(CHAT.events[1:])) + chunk(b"")


class Provider:
    """Knows when each of its slots will be free, and from the prompt which of the callers' calls it is sent."""

    def __init__(self) -> None:
        self.attempts = Counter[str]()
        """By call."""
        self.late = 0
        """Attempts at calls that had begun to be answered."""
        self.broken_off = 0
        self._begun = set[str]()
        self._free_at = [0.0] * SLOTS
        self._luck = Random(24)

    def resize(self, slots: int) -> None:
        """Have so many slots from now on. Calls that have begun are finished."""
        kept = sorted(self._free_at)[:slots]
        self._free_at = kept + [monotonic()] * (slots - len(kept))
        heapify(self._free_at)

    async def answer(self, incoming: Incoming) -> None:
        call = json.loads(incoming.body)["messages"][0]["content"]
        self.attempts[call] += 1
        self.late += call in self._begun
        now = monotonic()
        begins = max(now, self._free_at[0])
        if begins > now + LONGEST_WAIT:
            heapreplace(self._free_at, begins + REFUSING)
            incoming.send(REFUSAL)
            return
        held = HELD * self._luck.uniform(0.5, 1.5)
        heapreplace(self._free_at, begins + held)
        await asyncio.sleep(begins - now)
        self._begun.add(call)
        await self._stream(incoming, held, breaks_off=len(self._begun) % BREAKING_OFF == 0)

    async def _stream(self, incoming: Incoming, seconds: float, *, breaks_off: bool) -> None:
        incoming.send(BEGINNING)
        await asyncio.sleep(seconds / 2)
        if breaks_off:
            self.broken_off += 1
            incoming.hang_up()
            return
        await asyncio.sleep(seconds / 2)
        incoming.send(REST)


@dataclass(slots=True)
class Callers:
    """What they do, by the clock: `calls` are when each of them was sent to the gateway, `served` when one succeeded.

    A caller's retry is a call of its own.
    """

    gateway: Running
    calls: dict[str, float] = field(default_factory=dict)
    served: list[float] = field(default_factory=list)
    _came: int = 0
    _idle: deque[Client] = field(default_factory=deque)
    _luck: Random = field(default_factory=lambda: Random(24))

    async def come(self, seconds: float, group: asyncio.TaskGroup) -> None:
        """Let callers come for so long, at an even pace. A delay is made up for."""
        began = monotonic()
        for number in range(round(seconds * RATE)):
            await asyncio.sleep(began + number / RATE - monotonic())
            self._came += 1
            group.create_task(self._ask(f"caller {self._came}"))

    def served_from(self, since: float) -> int:
        """How many are served in a stretch."""
        return sum(since <= at < since + STRETCH for at in self.served)

    def leave(self) -> None:
        for client in self._idle:
            client.hang_up()

    async def _ask(self, name: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._try(name)

    async def _try(self, name: str) -> None:
        for number in range(TRIES):
            if number:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (number - 1) * (1.0 - JITTER * self._luck.random()))
            answer = await self._call(f"{name}, try {number}")
            if answer.whole and CHAT.terminal in answer.body:
                self.served.append(monotonic())
                return

    async def _call(self, name: str) -> Answer:
        client = self._idle.popleft() if self._idle else await Client.connect(urlsplit(self.gateway.url).port or 0)
        self.calls[name] = monotonic()
        stays = False
        try:
            answer = await client.call(asking(self.gateway.token, name))
            stays = answer.whole and answer.value(b"connection") != b"close"
            return answer
        finally:
            if stays:
                self._idle.append(client)
            else:
                client.hang_up()


def asking(token: str, prompt: str) -> bytes:
    body = json.dumps({"model": "gpt-5", "stream": True, "messages": [{"role": "user", "content": prompt}]}).encode()
    lines = f"POST {CHAT.path.decode()} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    return f"{lines}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True, frozen=True)
class Report:
    """What came of a brown-out: the calls sent to the gateway in it, and how often these came to the provider."""

    calls: int
    attempts: int
    usual: float
    """Callers served in a stretch before it."""
    recovery: float
    """Seconds from its end to a stretch in which as many are served as usual, or nearly."""
    late: int
    broken_off: int

    @property
    def amplification(self) -> float:
        return self.attempts / self.calls


async def brown_out(
    path: Path, *arguments: str, dark: float = DARK, longest_recovery: float = LONGEST_RECOVERY
) -> Report:
    provider = Provider()
    async with listening(provider.answer) as (_, port):
        upstream = ("--aibridge-openai-base-url", f"http://127.0.0.1:{port}/v1", "--aibridge-openai-key", "sk-canary")
        with running_server(path, *upstream, "--aibridge-max-retries", "2", *arguments) as gateway:
            callers = Callers(gateway)
            async with asyncio.TaskGroup() as group:
                await callers.come(USUAL, group)
                provider.resize(LEFT)
                began = monotonic()
                await callers.come(dark, group)
                provider.resize(SLOTS)
                ended = monotonic()
                usual = min(callers.served_from(began - STRETCH), RATE * STRETCH)  # more is for those who came before
                recovery = await recovered(callers, ended, 0.95 * usual, longest_recovery, group)
            callers.leave()
    calls = [call for call, at in callers.calls.items() if began <= at < ended]
    attempts = sum(provider.attempts[call] for call in calls)
    return Report(len(calls), attempts, usual, recovery, provider.late, provider.broken_off)


async def recovered(callers: Callers, after: float, served: float, longest: float, group: asyncio.TaskGroup) -> float:
    """Let callers come until so many are served in a stretch, and answer how long after an instant that began.

    Infinity, if it has not ended within the longest time.
    """
    while (now := monotonic()) < after + longest:
        since = now - STRETCH
        if since >= after and callers.served_from(since) >= served:
            return since - after
        await callers.come(0.1, group)
    return inf


def test_a_budget_keeps_retries_from_making_a_storm_of_a_brown_out(tmp_path: Path, scorecard: Told) -> None:
    report = run(brown_out(tmp_path), within=LONGEST)
    scorecard(
        24,
        f"brown-out, real gateway: {report.attempts} attempts for {report.calls} calls, {report.amplification:.2f}x "
        f"(<= 1.1), 95 % after {report.recovery:.1f} s (<= 5), {report.late} retries after the first byte "
        f"(0; {report.broken_off} answers broke off)",
    )
    assert report.amplification <= 1.1
    assert report.recovery <= 5.0
    assert report.late == 0
    assert report.attempts - report.calls >= 50
    assert report.usual >= 0.8 * RATE * STRETCH
    assert report.broken_off >= 10


def test_with_a_retry_for_each_call_the_same_brown_out_is_a_storm(tmp_path: Path, scorecard: Told) -> None:
    storm = brown_out(tmp_path, "--aibridge-retry-budget", "100", dark=1.0, longest_recovery=0.0)
    report = run(storm, within=LONGEST)
    scorecard(24, f"for comparison, real gateway with a budget of a retry for each call: {report.amplification:.2f}x")
    assert report.amplification > 1.5
