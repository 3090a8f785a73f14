"""The simulated provider, and the clock that everything simulated runs on."""

from aibridge.overload.simulation.timeline import Timeline
from aibridge.overload.simulation.upstream import Upstream, UpstreamModel, Work


def test_what_happens_happens_in_order() -> None:
    timeline, seen = Timeline(), list[tuple[str, float]]()
    for name, seconds in (("b", 2.0), ("a", 1.0), ("c", 2.0)):
        timeline.after(seconds, lambda name=name: seen.append((name, timeline.now)))  # type: ignore[misc]
    timeline.run()
    assert seen == [("a", 1.0), ("b", 2.0), ("c", 2.0)]


class Errand:
    """A request that writes down when it was told what."""

    def __init__(self, timeline: Timeline, *, had_answer: bool = False) -> None:
        self.timeline = timeline
        self.work = Work(first_byte=0.5, rest=1.5, breaks_off=False)
        self.had_answer = had_answer
        self.seen = list[tuple[str, float]]()

    def refused(self, retry_after: float) -> None:
        self.seen.append(("refused", self.timeline.now))

    def answered(self) -> None:
        self.seen.append(("answered", self.timeline.now))

    def ended(self, *, well: bool) -> None:
        self.seen.append(("ended" if well else "broke off", self.timeline.now))


def test_a_slot_pays_for_a_refusal_before_it_serves_who_waits() -> None:
    timeline = Timeline()
    upstream = Upstream(UpstreamModel(slots=1, queue=1, refusal_cost=3.0, round_trip=0.05), timeline)
    first, second, third = (Errand(timeline) for _ in range(3))
    for errand in (first, second, third):
        upstream.send(errand)
    timeline.run()
    assert first.seen == [("answered", 0.5), ("ended", 2.0)]
    assert third.seen == [("refused", 0.05)]
    assert second.seen == [("answered", 5.5), ("ended", 7.0)]


def test_who_waits_begins_when_a_brown_out_ends() -> None:
    timeline = Timeline()
    upstream, errand = Upstream(UpstreamModel(slots=1), timeline), Errand(timeline)
    upstream.resize(0.0)
    upstream.send(errand)
    timeline.after(7.0, lambda: upstream.resize(1.0))
    timeline.run()
    assert errand.seen == [("answered", 7.5), ("ended", 9.0)]


def test_a_provider_counts_requests_for_calls_that_had_begun_to_answer() -> None:
    timeline = Timeline()
    upstream = Upstream(UpstreamModel(), timeline)
    upstream.send(Errand(timeline))
    upstream.send(Errand(timeline, had_answer=True))
    assert (upstream.requests, upstream.late) == ([0.0, 0.0], 1)
