"""The script counts as one process does. A real server runs it; only its clock is replaced, to be in control of it.

The models here live on microseconds, as the script does, so that no rounding is in the way.
"""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
import valkey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkey_server import running

from aibridge.domain.rule import Mode, Rule, Unit
from aibridge.limits.counts import Ask
from aibridge.limits.redis_script import (
    SCRIPT,
    Answer,
    Decision,
    Request,
    Settled,
    Word,
    Words,
    decode,
    encode,
    leases,
    settled,
)
from aibridge.overload.rate import PLACES, ExactWindow, Gcra

CLOCK = "local now = time[1] * 1000000 + time[2]"
START = 1_800_000_000_000_000
LEASE = 12_000_000

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Clocked:
    """A server that counts by the microseconds it is told."""

    def __init__(self, client: Any) -> None:
        assert SCRIPT.count(CLOCK) == 1
        self.client = client
        self.digest = client.script_load(SCRIPT.replace(CLOCK, "local now = tonumber(ARGV[2])"))

    def ask(self, now: int, request: Request) -> Answer:
        reply = self.client.evalsha(self.digest, 0, encode(request), str(now))
        assert isinstance(reply, bytes)
        return decode(reply)

    def take(self, now: int, words: Words, *asks: Ask, lease: str = "r:1") -> Decision:
        return self.ask(now, said(takes=[words.asks(asks, lease)])).decisions[0]

    def settle(self, now: int, entries: list[Settled]) -> None:
        self.ask(now, said(settles=entries))


def said(**parts: object) -> Request:
    return Request(prefix="{t}:", replica="r", lease=LEASE, seen=0, **{"beat": False, **parts})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with running() as server:
        client: Any = valkey.Valkey(unix_socket_path=str(server.socket))
        yield client
        client.close()


@pytest.fixture
def clocked(client: Any) -> Clocked:
    client.flushall()
    return Clocked(client)


def words_of(*rules: Rule) -> Words:
    return Words(dict(enumerate(rules)), "t")


def per_window(amount: int, window: float = 1.0, **more: object) -> Rule:
    return Rule(name="calls", unit=Unit.REQUESTS, amount=amount, window=window, **more)  # type: ignore[arg-type]


@few
@given(st.integers(1, 12), st.lists(st.integers(0, 600_000), max_size=40))
def test_the_window_decides_as_that_of_one_process(clocked: Clocked, amount: int, steps: list[int]) -> None:
    clocked.client.flushall()
    words, model, now = words_of(per_window(amount)), ExactWindow(amount, 1e6), 0
    for step in steps:
        now += step
        decision = clocked.take(START + now, words, Ask(0, ""))
        expected = model.take(now)
        assert bool(decision.refused) == (expected is not None)
        if expected is not None:
            assert decision.refused[0][2] == expected.retry_after
        read = clocked.ask(START + now, said(reads=[words.read(0, "")]))
        assert read.used == [model.used(now)]


def test_above_the_places_calls_share_them_as_in_one_process(clocked: Clocked) -> None:
    amount = 2 * PLACES + 1
    words, model = words_of(per_window(amount)), ExactWindow(amount, 1e6)
    for step in range(300):
        now = step * 10_000
        requests = said(takes=[words.asks((Ask(0, ""),), "")] * 100)
        admitted = sum(not decision.refused for decision in clocked.ask(START + now, requests).decisions)
        assert admitted == sum(model.take(now) is None for _ in range(100))
    assert clocked.client.llen("{t}:requests:window:calls:") <= PLACES


@few
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 900_000), st.integers(0, 25), st.none() | st.integers(0, 40)), max_size=40),
)
def test_what_is_weighed_flows_as_in_one_process(
    clocked: Clocked, amount: int, burst: int, steps: list[tuple[int, int, int | None]]
) -> None:
    clocked.client.flushall()
    rule = Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=amount, window=1.0, burst=burst)
    words, model, now = words_of(rule), Gcra(amount / 1e6, burst, "tokens"), 0
    for step, cost, true_cost in steps:
        now += step
        ask = Ask(0, "", float(cost))
        decision = clocked.take(START + now, words, ask)
        taken = min(cost, burst)
        wait = model.wait(now, taken)
        if not 0.0 < wait < 2.0:  # the server rounds up to whole microseconds
            assert bool(decision.refused) == (wait > 0.0)
        if decision.refused:
            assert decision.refused[0][2] == pytest.approx(wait, abs=2.0)
            continue
        model.settle(now, taken)  # which takes it, also where it was refused by a hair
        if true_cost is not None:
            clocked.settle(START + now, settled(words.asks((ask,), ""), [float(true_cost)], decision.at))
            if true_cost != taken:
                model.settle(now, true_cost - taken)


def test_all_is_taken_or_nothing(clocked: Clocked) -> None:
    rules = [Rule(name=f"rule-{number}", unit=Unit.REQUESTS, amount=1000, window=60.0) for number in range(3)]
    words = words_of(*rules, Rule(name="held", unit=Unit.CONCURRENT, amount=1))
    asks = tuple(Ask(number, "") for number in range(4))
    assert not clocked.take(START, words, *asks).refused
    for number in range(500):
        assert clocked.take(START + number, words, *asks, lease=f"r:{number}").refused == ((3, 1.0, 0.0),)
    reads = [words.read(number, "") for number in range(4)]
    assert clocked.ask(START + 1000, said(reads=reads)).used == [1.0, 1.0, 1.0, 1.0]


def test_all_that_refuse_are_named(clocked: Clocked) -> None:
    words = words_of(per_window(1, 1.0), Rule(name="slow", unit=Unit.REQUESTS, amount=1, window=9.0))
    clocked.take(START, words, Ask(0, ""), Ask(1, ""))
    refused = clocked.take(START + 500_000, words, Ask(0, ""), Ask(1, "")).refused
    assert refused == ((0, 1.0, 500_000.0), (1, 1.0, 8_500_000.0))


def test_a_shadow_never_refuses_and_counts_where_it_admits(clocked: Clocked) -> None:
    words = words_of(per_window(5), Rule(name="shadow", unit=Unit.REQUESTS, amount=1, window=1.0, mode=Mode.SHADOW))
    asks = Ask(0, ""), Ask(1, "")
    assert clocked.take(START, words, *asks).shadows == ()
    assert clocked.take(START + 1, words, *asks).shadows == (1,)
    assert clocked.ask(START + 2, said(reads=[words.read(0, ""), words.read(1, "")])).used == [2.0, 1.0]


def test_a_lease_ends_unless_it_is_renewed(clocked: Clocked) -> None:
    words = words_of(Rule(name="held", unit=Unit.CONCURRENT, amount=2))
    kept, lost = words.asks((Ask(0, ""),), "r:1"), words.asks((Ask(0, ""),), "r:2")
    clocked.ask(START, said(takes=[kept, lost]))
    assert clocked.take(START + LEASE - 1, words, Ask(0, ""), lease="r:3").refused
    clocked.ask(START + LEASE - 1, said(leases=leases(kept)))
    assert not clocked.take(START + LEASE, words, Ask(0, ""), lease="r:3").refused
    assert clocked.take(START + LEASE, words, Ask(0, ""), lease="r:4").refused


def test_what_is_given_back_twice_counts_once(clocked: Clocked) -> None:
    words = words_of(Rule(name="held", unit=Unit.CONCURRENT, amount=2))
    first, second = words.asks((Ask(0, ""),), "r:1"), words.asks((Ask(0, ""),), "r:2")
    clocked.ask(START, said(takes=[first, second]))
    clocked.settle(START, settled(first, [1.0], START) * 2)
    assert clocked.ask(START, said(reads=[words.read(0, "")])).used == [1.0]


def test_a_call_that_did_not_count_leaves_the_window(clocked: Clocked) -> None:
    words = words_of(per_window(2))
    first = clocked.take(START, words, Ask(0, ""))
    clocked.take(START + 10, words, Ask(0, ""))
    clocked.settle(START + 20, settled(words.asks((Ask(0, ""),), ""), [0.0], first.at))
    assert not clocked.take(START + 30, words, Ask(0, "")).refused
    assert clocked.take(START + 40, words, Ask(0, "")).refused == ((0, 2.0, 999_970.0),)


def test_what_was_spent_meanwhile_counts_from_when_it_was(clocked: Clocked) -> None:
    words = words_of(per_window(3), Rule(name="tokens", unit=Unit.COST, amount=10, window=1.0))
    spent = words.asks((Ask(0, ""), Ask(1, "", 10.0)), "")
    charges = [(age, word) for age in (2_000_000.0, 900_000.0, 100_000.0) for word in spent]
    clocked.ask(START, said(charges=charges))
    # Of tokens: 10 two seconds ago are refilled, then 10, of which 8 are back when 10 more are spent, then 1.
    assert clocked.ask(START, said(reads=[words.read(0, ""), words.read(1, "")])).used == [2.0, pytest.approx(11.0)]


def test_what_was_spent_meanwhile_is_added_to_what_there_was_then(clocked: Clocked) -> None:
    rule = Rule(name="pace", unit=Unit.REQUESTS, amount=100, window=1.0, burst=20)
    words = words_of(rule)
    for _ in range(20):
        clocked.take(START, words, Ask(0, ""))
    time.sleep(0.25)  # by then the burst is there again, for those who ask
    spent = [(240_000.0, word) for word in words.asks((Ask(0, ""),), "") for _ in range(20)]
    clocked.ask(START + 250_000, said(charges=spent))
    used = clocked.ask(START + 250_000, said(reads=[words.read(0, "")])).used
    assert used == [pytest.approx(15.0)]


def test_a_clock_that_steps_back_does_not_refuse_for_longer_than_the_limit_lasts(clocked: Clocked) -> None:
    words = words_of(per_window(1), Rule(name="tokens", unit=Unit.COST, amount=10, window=1.0))
    asks = Ask(0, ""), Ask(1, "", 10.0)
    clocked.take(START, words, *asks)
    hour = 3_600_000_000
    for now in range(START - hour, START - hour + 1_100_000, 100_000):
        admitted = not clocked.take(now, words, *asks).refused
    assert admitted


def test_a_limit_that_is_lowered_holds_at_once(clocked: Clocked) -> None:
    for number in range(10):
        clocked.take(START + number, words_of(per_window(10)), Ask(0, ""))
    lower = words_of(per_window(3))
    assert clocked.take(START + 10, lower, Ask(0, "")).refused == ((0, 3.0, 999_997.0),)
    assert not clocked.take(START + 1_000_007, lower, Ask(0, "")).refused
    assert clocked.take(START + 1_000_007, lower, Ask(0, "")).refused


def test_every_key_ends_by_itself(clocked: Clocked) -> None:
    held = Rule(name="held", unit=Unit.CONCURRENT, amount=2)
    words = words_of(per_window(3), held, Rule(name="cost", unit=Unit.COST, amount=9, window=1.0))
    asks = words.asks((Ask(0, ""), Ask(1, ""), Ask(2, "")), "r:1")
    clocked.ask(
        START, said(beat=True, trips=[("breaker", 1e6)], takes=[asks, (words.probe("breaker", 1, 30.0, "r:2"),)])
    )
    keys = clocked.client.keys("*")
    assert isinstance(keys, list)
    assert len(keys) == 7
    assert all(key.startswith(b"{t}:") for key in keys)
    left = {key: int(clocked.client.pttl(key)) for key in keys}
    assert all(0 < milliseconds <= 86_400_001 for milliseconds in left.values()), left


MOST, PROBE_LEASE = 3, 30.0


class Probes:
    """The probes of one breaker, made by replicas that are alive from `START` on."""

    def __init__(self, clocked: Clocked) -> None:
        self._clocked = clocked
        self._words = words_of()
        self._numbers = count()
        for replica in "rs":
            self.beat(START, replica)

    def beat(self, now: int, replica: str) -> None:
        request = Request(prefix="{t}:", replica=replica, lease=LEASE, seen=0, beat=True)
        self._clocked.ask(now, request)

    def word(self, replica: str = "r") -> Word:
        return self._words.probe("openai:central:*", MOST, PROBE_LEASE, f"{replica}:{next(self._numbers)}")

    def wait(self, now: int, replica: str = "r") -> float:
        """For how long one more is told to wait, in seconds; it is an error if there is a place."""
        ((_, used, wait),) = self._clocked.ask(now, said(takes=[(self.word(replica),)])).decisions[0].refused
        assert used == MOST
        return wait / 1e6

    def go(self, now: int, number: int = 1, replica: str = "r") -> list[Word]:
        words = [self.word(replica) for _ in range(number)]
        decisions = self._clocked.ask(now, said(takes=[(word,) for word in words])).decisions
        assert not any(decision.refused for decision in decisions)
        return words

    def end(self, now: int, word: Word, *, succeeded: bool) -> None:
        self._clocked.settle(now, settled((word,), (float(succeeded),), 0.0))

    def trip(self, now: int, seconds: float) -> None:
        self._clocked.ask(now, said(trips=[("openai:central:*", seconds * 1e6)]))

    def board(self, now: int) -> list[tuple[str, float]]:
        return self._clocked.ask(now, said()).breakers


@pytest.fixture
def probes(clocked: Clocked) -> Probes:
    return Probes(clocked)


def test_no_more_probes_are_out_than_there_are_places_and_each_end_frees_one(probes: Probes) -> None:
    first, *_ = probes.go(START, 2, "r") + probes.go(START, 1, "s")
    assert probes.wait(START + 500_000, "s") == 1.0
    assert probes.wait(START + 4_000_000, "r") == 4.0
    probes.end(START + 4_000_000, first, succeeded=False)
    probes.go(START + 4_000_000, 1, "s")
    probes.wait(START + 4_000_000)


def test_as_many_successes_as_places_close_a_breaker_whosever_they_are(probes: Probes) -> None:
    probes.trip(START, 1.0)
    assert probes.board(START + 1_000_000) == [("openai:central:*", -1.0)], "not closed: half-open"
    for number, replica in enumerate("rsr"):
        assert probes.board(START + 2_000_000 + number) == [("openai:central:*", -1e6 - number)]
        (word,) = probes.go(START + 2_000_000, 1, replica)
        probes.end(START + 2_000_000, word, succeeded=True)
        probes.end(START + 2_000_000, word, succeeded=True)  # said twice, it counts once
    assert probes.board(START + 3_000_000) == [("openai:central:*", 0.0)]


def test_a_result_from_before_the_last_change_of_state_has_no_say(probes: Probes) -> None:
    old = probes.go(START, MOST)
    probes.trip(START + 1, 1.0)
    new = probes.go(START + 2_000_000, MOST)
    for word in old:
        probes.end(START + 2_000_000, word, succeeded=True)
    probes.wait(START + 2_000_000)
    assert probes.board(START + 2_000_000)[0][1] < 0.0
    for word in new[:2]:
        probes.end(START + 2_000_000, word, succeeded=True)
    probes.trip(START + 2_000_001, 1.0)
    (last,) = probes.go(START + 4_000_000)
    probes.end(START + 4_000_000, last, succeeded=True)
    assert probes.board(START + 4_000_000)[0][1] < 0.0, "what succeeded before counts no more"


def test_a_lost_probe_has_a_place_for_a_lease_and_a_say_for_longer(probes: Probes) -> None:
    lost = probes.go(START, MOST)
    end = START + int(PROBE_LEASE * 1e6)
    for now in range(START, end, LEASE // 2):
        probes.beat(now, "r")
    assert probes.wait(end - 250_000) == 0.25
    probes.go(end, MOST)
    probes.wait(end)
    for word in lost:
        probes.end(end + 1, word, succeeded=True)
    assert probes.board(end + 1) == [("openai:central:*", 0.0)]


def test_the_places_of_a_dead_replica_are_free_when_it_is_no_longer_among_the_living(probes: Probes) -> None:
    probes.go(START, 2, "s")
    probes.go(START, 1, "r")
    probes.beat(START + LEASE - 1, "r")
    probes.wait(START + LEASE - 1)
    probes.go(START + LEASE, 2, "r")
    probes.wait(START + LEASE)


def test_a_clock_that_steps_back_keeps_no_place_taken(probes: Probes) -> None:
    probes.go(START, MOST)
    before = START - 3_600_000_000
    probes.beat(before, "r")
    probes.go(before, MOST)
    probes.wait(before)


def test_a_breaker_that_has_not_changed_for_a_day_is_forgotten_when_another_does(clocked: Clocked) -> None:
    day = 86_400_000_000
    clocked.ask(START, said(trips=[("open", 1e6), ("closed", 0.0)]))
    clocked.ask(START + day // 2, said(trips=[("another", 1e6)]))
    assert {name for name, _ in clocked.ask(START + day // 2, said()).breakers} == {"open", "closed", "another"}
    clocked.ask(START + day + 1_000_001, said(trips=[("another", 0.0)]))
    assert clocked.ask(START + day + 1_000_001, said()).breakers == [("another", 0.0)]


def test_the_living_are_counted_and_a_newcomer_is_told_so(clocked: Clocked) -> None:
    assert clocked.ask(START, said(beat=True)).fresh
    again = clocked.ask(START + 1, said(beat=True))
    assert (again.alive, again.fresh) == (1, False)
    other = Request(prefix="{t}:", replica="s", lease=LEASE, seen=0, beat=True)
    assert clocked.ask(START + 2, other).alive == 2
    assert clocked.ask(START + 2 + LEASE, said(beat=True)).alive == 1


def slots(amount: int, name: str = "slots") -> Rule:
    return Rule(name=name, unit=Unit.CONCURRENT, amount=amount, queue_timeout=5.0, queue_size=10)


class Lined:
    """Replicas that ask for slots, at an instant that the test says."""

    def __init__(self, clocked: Clocked, *rules: Rule) -> None:
        self.now = START
        self._clocked = clocked
        self._words = words_of(*rules)

    def goes(self, replica: str, *rules: int) -> bool:
        """Whether a call of this replica that falls under these rules may go."""
        self.now += 1000
        words = self._words.asks(tuple(Ask(rule, "") for rule in rules or (0,)), f"{replica}:1")
        request = msgspec.structs.replace(said(takes=[words]), replica=replica)
        return not self._clocked.ask(self.now, request).decisions[0].refused

    def ends(self, replica: str, *rules: int) -> None:
        words = self._words.asks(tuple(Ask(rule, "") for rule in rules or (0,)), f"{replica}:1")
        self._clocked.settle(self.now, settled(words, [1.0] * len(words), 0.0))


def test_replicas_whose_callers_wait_take_turns(clocked: Clocked) -> None:
    line = Lined(clocked, slots(1))
    assert line.goes("a")
    assert [line.goes("b"), line.goes("c"), line.goes("a")] == [False] * 3
    line.ends("a")
    assert [line.goes("a"), line.goes("c"), line.goes("new"), line.goes("b")] == [False, False, False, True]
    assert not line.goes("b")
    line.ends("b")
    assert [line.goes("b"), line.goes("a"), line.goes("c")] == [False, False, True]


def test_who_waits_for_less_than_is_free_is_in_nobodys_way(clocked: Clocked) -> None:
    line = Lined(clocked, slots(2))
    assert line.goes("a")
    assert line.goes("b")
    assert not line.goes("c")
    line.ends("a")
    line.ends("b")
    assert [line.goes("d"), line.goes("a"), line.goes("c")] == [True, False, True]


def test_a_replica_that_asks_no_more_does_not_wait(clocked: Clocked) -> None:
    line = Lined(clocked, slots(1))
    assert line.goes("a")
    assert not line.goes("b")
    line.ends("a")
    line.now += 98_000
    assert not line.goes("a")
    line.now += 1000
    assert line.goes("a")
    assert not line.goes("b")
    (key,) = clocked.client.keys("*line*")
    assert 0 < clocked.client.pttl(key) <= 101


def test_who_lacks_what_nobody_waits_for_stands_in_no_line(clocked: Clocked) -> None:
    line = Lined(clocked, slots(1), msgspec.structs.replace(slots(1, "wall"), queue_timeout=0.0), per_window(1))
    assert line.goes("a", 0, 1, 2)
    assert not line.goes("b", 0, 1)
    assert not line.goes("b", 0, 2)
    line.ends("a", 0, 1)
    assert line.goes("c")


@pytest.mark.parametrize("both", [(0, 1), (1, 0)])
def test_replicas_that_wait_for_several_limits_do_not_wait_for_each_other(
    clocked: Clocked, both: tuple[int, int]
) -> None:
    line = Lined(clocked, slots(1), slots(1, "more"))
    assert line.goes("x", 1)
    assert not line.goes("b", *both), "it waits for the second"
    assert line.goes("y", 0)
    line.ends("x", 1)
    assert not line.goes("a", *both), "it waits for the first, and for b"
    line.ends("y", 0)
    assert not line.goes("a", *both)
    assert line.goes("b", *both)


def test_who_lacks_two_things_keeps_neither_from_others(clocked: Clocked) -> None:
    line = Lined(clocked, slots(1, "house"), slots(1, "own"))
    assert line.goes("x", 1)  # bob's long call
    assert line.goes("y", 0)
    assert not line.goes("a", 0, 1), "another of bob's: it lacks both"
    assert not line.goes("b", 0)
    line.ends("y", 0)
    assert not line.goes("a", 0, 1), "still no slot of its own"
    assert line.goes("b", 0), "the house has room, and bob's call cannot use it"


def test_a_replica_does_not_go_first_by_what_one_of_its_callers_waits_for_elsewhere(clocked: Clocked) -> None:
    line = Lined(clocked, slots(1, "house"), slots(1, "own"))
    assert line.goes("x", 1)
    assert not line.goes("a", 0, 1)  # bob at a, since long ago, for his own slot
    assert line.goes("y", 0)
    assert not line.goes("b", 0)
    went = []
    holder = "y"
    for _ in range(6):
        assert not line.goes("a", 0, 1)
        assert not line.goes("a", 0)
        assert not line.goes("b", 0)
        line.ends(holder, 0)
        holder = "a" if line.goes("a", 0) else "b"
        if holder == "b":
            assert line.goes("b", 0)
        went.append(holder)
    assert went.count("b") == 3, went
