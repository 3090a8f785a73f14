"""The places of half-open breakers over the workers of one host, and what those of other hosts have to do with them."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
import uvloop
from host_world import Host, host

from aibridge.limits.host import HostCounts
from aibridge.limits.host_breakers import HostBreakers
from aibridge.limits.probes import MOMENT
from aibridge.overload.breaker import Probe, Ticket
from aibridge.overload.outcome import Rejection

NAME = "openai:central:*"
MOST, LEASE = 3, 30.0


async def half_open(made: Host) -> None:
    """Open the breaker, and wait until its break is over."""
    made.workers[0].tripped(NAME, 0.001)
    await made.workers[0].present(1)
    await asyncio.sleep(0.002)


async def goes(worker: HostCounts, lease: float = LEASE) -> int:
    answer = await worker.probe(NAME, MOST, lease)
    assert isinstance(answer, int), answer
    return answer


async def waits(worker: HostCounts) -> float:
    answer = await worker.probe(NAME, MOST, LEASE)
    assert isinstance(answer, Rejection), answer
    assert (answer.limit, answer.allowed) == (NAME, MOST)
    return answer.retry_after


def listening(worker: HostCounts) -> list[tuple[str, float]]:
    heard = list[tuple[str, float]]()
    worker.listen(lambda breaker, seconds: heard.append((breaker, seconds)))
    return heard


def test_the_places_are_those_of_all_workers() -> None:
    async def scenario() -> None:
        async with host(workers=4) as made:
            await half_open(made)
            asked = [worker.probe(NAME, MOST, LEASE) for _ in range(10) for worker in made.workers]
            answers = await asyncio.gather(*asked)
            gone = [answer for answer in answers if isinstance(answer, int)]
            assert len(gone) == MOST
            taker = made.workers[next(index for index, answer in enumerate(answers) if isinstance(answer, int)) % 4]
            taker.probed(gone[0], succeeded=False)
            await taker.present(1)
            await goes(made.workers[3])
            await waits(made.workers[2])

    uvloop.run(scenario())


def test_successes_of_any_workers_close_it_in_all() -> None:
    async def scenario() -> None:
        async with host(workers=3) as made:
            heard = [listening(worker) for worker in made.workers]
            await half_open(made)
            for worker in made.workers:
                assert all(news == [(NAME, 0.001)] for news in heard)
                worker.probed(await goes(worker), succeeded=True)
            for worker in made.workers:
                await worker.present(1)
            assert heard == [[(NAME, 0.001), (NAME, 0.0)]] * 3

    uvloop.run(scenario())


def test_a_success_from_before_the_last_change_of_state_has_no_say() -> None:
    async def scenario() -> None:
        async with host(workers=2) as made:
            here, there = made.workers
            await half_open(made)
            old = [await goes(here) for _ in range(MOST)]
            await half_open(made)
            heard = listening(there)
            heard.clear()
            new = [await goes(there) for _ in range(MOST)]
            for number in old:
                here.probed(number, succeeded=True)
            await here.present(1)
            await waits(there)
            assert heard == []
            for number in new:
                there.probed(number, succeeded=True)
            await there.present(1)
            assert heard == [(NAME, 0.0)]

    uvloop.run(scenario())


def test_a_dead_workers_places_are_free_at_once() -> None:
    async def scenario() -> None:
        async with host(workers=2) as made:
            await half_open(made)
            for _ in range(MOST):
                await goes(made.workers[0])
            made.kill(0)
            while len(made.service._workers) == 2:  # noqa: ASYNC110 (there is nothing to be told by)
                await asyncio.sleep(0)
            for _ in range(MOST):
                await goes(made.workers[1])

    uvloop.run(scenario())


def test_the_place_of_a_probe_that_hangs_is_free_when_its_lease_ends() -> None:
    async def scenario() -> None:
        async with host(workers=2) as made:
            here, there = made.workers
            await half_open(made)
            for _ in range(MOST):
                await goes(here, lease=0.05)
            assert await there.probe(NAME, MOST, 0.05) is not None
            await asyncio.sleep(0.06)
            await goes(there, lease=0.05)

    uvloop.run(scenario())


@pytest.mark.parametrize("turns", range(8))
def test_a_probe_that_is_cancelled_at_any_moment_has_no_place(turns: int) -> None:
    async def scenario() -> None:
        async with host(workers=1) as made:
            (worker,) = made.workers
            await half_open(made)
            probe = asyncio.create_task(worker.probe(NAME, 1, LEASE))
            for _ in range(turns):
                await asyncio.sleep(0)
            probe.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                if isinstance(number := await probe, int):
                    worker.probed(number, succeeded=False)
            assert isinstance(await worker.probe(NAME, 1, LEASE), int)

    uvloop.run(scenario())


def test_a_probe_that_is_cancelled_while_other_hosts_are_asked_has_no_place() -> None:
    async def scenario() -> None:
        async with host(workers=1) as made:
            (worker,) = made.workers
            await half_open(made)
            made.service.breakers._beyond = beyond = Beyond(places=1)
            beyond.silent = True
            probe = asyncio.create_task(worker.probe(NAME, 1, LEASE))
            await worker.present(1)
            assert not isinstance(await worker.probe(NAME, 1, LEASE), int)
            probe.cancel()
            await asyncio.wait([probe])
            beyond.silent = False
            await worker.present(1)
            assert isinstance(await worker.probe(NAME, 1, LEASE), int)

    uvloop.run(scenario())


def test_a_worker_that_joins_late_hears_what_is_not_closed_once_it_listens() -> None:
    async def scenario() -> list[tuple[str, float]]:
        async with host(workers=1) as made:
            made.workers[0].tripped("closed", 9.0)
            made.workers[0].tripped("closed", 0.0)
            made.workers[0].tripped("open", 30.0)
            await half_open(made)
            late = await made.hire()
            await late.present(1)
            return listening(late)

    half, full = sorted(uvloop.run(scenario()), key=lambda one: one[1])
    assert (half[0], full[0]) == (NAME, "open")
    assert half[1] == pytest.approx(MOMENT)
    assert 29.0 < full[1] < 30.0


def test_without_the_supervisor_each_probes_for_itself() -> None:
    async def scenario() -> None:
        async with host(workers=1) as made:
            (worker,) = made.workers
            asking = asyncio.create_task(worker.probe(NAME, MOST, LEASE))
            await asyncio.sleep(0)
            for connection in [*made.service._workers]:
                connection._transport.abort()
            assert await asking is None
            assert await worker.probe(NAME, MOST, LEASE) is None

    uvloop.run(scenario())


class Beyond:
    """Other hosts, which have so many places left."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.silent = self.away = False
        self.tell: Callable[[str, float], None] = lambda _breaker, _seconds: None
        self.said: list[tuple[str, float] | bool] = []

    def listen(self, hear: Callable[[str, float], None]) -> None:
        self.tell = hear

    def tripped(self, breaker: str, seconds: float) -> None:
        self.said.append((breaker, seconds))

    async def probe(self, breaker: str, most: int, lease: float) -> int | Rejection | None:
        assert lease == LEASE
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            return None
        if not self.places:
            return Rejection(breaker, most, 0.0, 5.0)
        self.places -= 1
        return self.places

    def probed(self, number: int, *, succeeded: bool) -> None:
        assert number >= 0
        self.said.append(succeeded)


class Hosted:
    """The breakers of a host of several, at a time that the test says."""

    def __init__(self, places: int) -> None:
        self.now = 100.0
        self.beyond = Beyond(places)
        self.told: list[tuple[str, float]] = []
        self.breakers = HostBreakers(
            self.beyond, lambda name, seconds: self.told.append((name, seconds)), lambda: self.now
        )

    def enter(self) -> Ticket | Rejection:
        with pytest.raises(StopIteration) as caught:
            self.breakers.enter(NAME, MOST, LEASE).send(None)
        answer: Ticket | Rejection = caught.value.value
        return answer

    def probe(self) -> Probe:
        entered = self.enter()
        assert isinstance(entered, Probe)
        return entered


def test_a_probe_needs_a_place_here_and_beyond() -> None:
    hosted = Hosted(places=2)
    hosted.breakers.tripped(NAME, 5.0)
    assert hosted.enter() == Rejection(NAME, 0, 0.0, 5.0)
    hosted.now += 5.0
    first, second = hosted.probe(), hosted.probe()
    assert hosted.enter() == Rejection(NAME, MOST, 0.0, 5.0)
    hosted.now += 1.0
    hosted.beyond.places = 5
    third = hosted.probe()
    assert isinstance(hosted.enter(), Rejection)
    assert hosted.beyond.places == 4, "nobody there was asked"
    for probe, succeeded in ((first, True), (second, False), (third, True)):
        hosted.breakers.leave(probe, succeeded=succeeded)
    assert hosted.beyond.said == [(NAME, 5.0), True, False, True]
    assert hosted.told == [(NAME, 5.0)]
    hosted.breakers.leave(hosted.probe(), succeeded=True)
    assert hosted.told == [(NAME, 5.0), (NAME, 0.0)]


def test_other_hosts_hear_of_a_breaker_that_closed_while_they_could_not_be_asked() -> None:
    hosted = Hosted(places=9)
    hosted.breakers.tripped(NAME, 5.0)
    hosted.now += 5.0
    hosted.beyond.away = True
    for _ in range(MOST):
        assert hosted.beyond.said == [(NAME, 5.0)]
        hosted.breakers.leave(hosted.probe(), succeeded=True)
    assert hosted.beyond.said == [(NAME, 5.0), (NAME, 0.0)]
    assert hosted.told == [(NAME, 5.0), (NAME, 0.0)]


def test_what_other_hosts_say_is_told_to_the_workers_and_not_back() -> None:
    hosted = Hosted(places=9)
    hosted.beyond.tell(NAME, 5.0)
    assert [*hosted.breakers.standing()] == [(NAME, 5.0)]
    hosted.now += 5.0
    probe = hosted.probe()
    hosted.beyond.tell(NAME, 0.0)
    assert [*hosted.breakers.standing()] == []
    hosted.breakers.leave(probe, succeeded=True)
    assert hosted.told == [(NAME, 5.0), (NAME, 0.0)]
    assert hosted.beyond.said == [True]


def test_who_has_not_heard_that_it_closed_may_go_and_takes_no_place() -> None:
    hosted = Hosted(places=1)
    ticket = hosted.enter()
    assert isinstance(ticket, Ticket)
    assert not isinstance(ticket, Probe)
    hosted.breakers.leave(ticket, succeeded=True)
    assert (hosted.told, hosted.beyond.said, hosted.beyond.places) == ([], [], 1)
