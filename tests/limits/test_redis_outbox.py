"""What is kept for the server: nothing overtakes what it corrects, nothing is said twice that must not be."""

from aibridge.domain.rule import Rule, Unit
from aibridge.limits.counts import Ask
from aibridge.limits.probes import MOMENT
from aibridge.limits.redis_outbox import MOST_ENTRIES, MOST_KEPT, News, Outbox
from aibridge.limits.redis_script import Request, Settled, Word, Words, settled

WORDS = Words(
    {
        0: Rule(name="held", unit=Unit.CONCURRENT, amount=9),
        1: Rule(name="cost", unit=Unit.COST, amount=9, window=1.0),
    },
    "t",
)


def words(number: int) -> tuple[Word, ...]:
    return WORDS.asks((Ask(0, ""), Ask(1, "", 2.0)), f"r:{number}")


def filled(outbox: Outbox, now: float = 0.0) -> Request:
    request = Request(prefix="t:", replica="r", lease=1, seen=0, beat=False)
    outbox.fill(request, now)
    return request


def test_what_is_held_is_renewed_until_it_is_released() -> None:
    outbox = Outbox()
    outbox.hold(1, words(1))
    outbox.hold(2, words(2))
    outbox.hold(3, words(3)[1:])
    outbox.renew()
    outbox.release(1, [])
    assert [name for _, name in filled(outbox).leases] == ["r:2"]
    assert filled(outbox).leases == []
    assert outbox.empty


def test_a_request_is_bounded_and_the_rest_follows() -> None:
    outbox = Outbox()
    for number in range(600):
        outbox.hold(number, words(number))
    outbox.renew()
    renewed = [len(filled(outbox).leases) for _ in range(4)]
    assert renewed == [MOST_ENTRIES, MOST_ENTRIES, 600 - 2 * MOST_ENTRIES, 0]


def test_a_correction_does_not_overtake_what_was_spent() -> None:
    outbox = Outbox()
    for number in range(MOST_ENTRIES + 1):
        outbox.charge(words(number), float(number))
        outbox.release(number, settled(words(number), [1.0, 3.0], 0.0))
    first, second = filled(outbox, 1000.0), filled(outbox, 1000.0)
    assert (len(first.charges), first.settles) == (MOST_ENTRIES, [])
    assert first.charges[7] == (993e6, words(7)[1])
    assert (len(second.charges), len(second.settles)) == (1, MOST_ENTRIES)
    assert outbox.many


def test_of_a_request_without_an_answer_only_leases_are_given_back_again() -> None:
    outbox = Outbox()
    outbox.release(1, settled(words(1), [1.0, 3.0], 0.0))
    outbox.charge(words(2), 0.0)
    request = filled(outbox)
    probe = WORDS.probe("openai", 3, 30.0, "r:4")
    request.takes = [words(3), (probe,)]
    outbox.failed(request)
    assert filled(outbox).settles == [
        Settled.release(words(1)[0].key, "r:1"),
        Settled.release(words(3)[0].key, "r:3"),
        Settled(probe.kind, probe.key, 0.0, "r:4", 3.0),
    ]
    assert outbox.lost == 2


def test_that_a_probe_succeeded_is_said_until_it_is_heard() -> None:
    outbox = Outbox()
    good = settled((WORDS.probe("openai", 3, 30.0, "r:1"),), (1.0,), 0.0)
    outbox.release(1, good)
    outbox.failed(filled(outbox))
    assert filled(outbox).settles == good
    assert outbox.lost == 0


def test_more_than_can_be_kept_is_forgotten_oldest_first() -> None:
    outbox = Outbox()
    for number in range(MOST_KEPT + 5):
        outbox.charge(words(number), float(number))
        outbox.settle([Settled.release("key", str(number))])
    assert outbox.lost == 10
    assert filled(outbox, 5.0).charges[0][0] == 0.0


def test_leaving_gives_back_all_that_is_held() -> None:
    outbox = Outbox()
    outbox.hold(1, words(1))
    outbox.leave()
    assert [entry.what for entry in filled(outbox).settles] == ["r:1"]
    outbox.renew()
    assert outbox.empty


def test_news_are_told_once_and_only_to_those_who_do_not_know() -> None:
    here, there = News(), News()
    here.tripped("openai", 30.0, now=100.0)
    assert here.unsaid(now=100.5) == [("openai", 29_500_000.0)]
    assert here.unsaid(now=100.5) == []
    board = [("openai", 29_250_000.0)]
    assert here.heard(7, board, now=100.75) == []
    assert there.heard(7, board, now=9000.0) == [("openai", 29.25)]
    assert there.heard(7, board, now=9001.0) == []
    assert there.seen == 7


def test_a_reset_is_news_and_an_end_is_none() -> None:
    news = News()
    news.heard(1, [("a", 10e6), ("b", 1e6)], now=0.0)
    assert news.heard(2, [("a", 0.0), ("b", -1e6)], now=2.0) == [("a", 0.0)]
    assert news.heard(3, [("a", 0.0), ("b", 0.0)], now=3.0) == [("b", 0.0)]


def test_one_that_heard_nothing_hears_of_those_that_are_not_closed() -> None:
    board = [("open", 5e6), ("half-open", -5e6), ("closed", 0.0)]
    assert News().heard(1, board, now=100.0) == [("open", 5.0), ("half-open", MOMENT)]


def test_a_break_that_is_over_before_it_could_be_said_is_no_reset() -> None:
    news = News()
    news.tripped("a", 10.0, now=0.0)
    assert news.unsaid(now=50.0) == [("a", MOMENT * 1e6)]


def test_what_the_server_does_not_mention_is_as_it_was() -> None:
    news = News()
    news.heard(1, [("a", 10e6)], now=0.0)
    assert news.heard(2, [("b", 10e6)], now=1.0) == [("b", 10.0)]
    assert news.heard(3, [("a", 0.0)], now=20.0) == [("a", 0.0)]


def test_a_trip_not_said_yet_is_no_reset() -> None:
    news = News()
    news.tripped("a", 10.0, now=0.0)
    assert news.heard(5, [], now=0.1) == []
    assert news.heard(6, [("a", 3e6)], now=0.1) == [], "what is known here is newer"
    assert news.unsaid(now=1.0) == [("a", 9e6)]
    news.again([("a", 9e6)])
    assert news.unsaid(now=2.0) == [("a", 8e6)]


def test_a_reset_here_is_told_as_such() -> None:
    news = News()
    news.tripped("a", 10.0, now=0.0)
    news.tripped("a", 0.0, now=1.0)
    assert news.unsaid(now=1.5) == [("a", 0.0)]


def test_a_server_that_forgot_everything_resets_nothing() -> None:
    news = News()
    news.heard(3, [("a", 10e6)], now=0.0)
    assert news.heard(0, [], now=1.0) == []
    assert news.heard(4, [("a", 8.9e6)], now=1.1) == []
