"""What is measured, each in rounds: first one of everybody, then the next."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench import MeasurementError, latency, proxies, streams, wrk
from bench.conversation import PROVIDER_KEY
from bench.figures import percentile
from bench.machine import INTERPRETED
from bench.processes import cpu_at_rest, resident_bytes
from bench.proxies import Proxy
from bench.streams import Load

_MICRO = 1e6
_MEGABYTE = 1e6


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it, and of which build."""

    rounds: int
    seconds: int
    """Of each run of wrk."""
    load: Load
    calls: int
    """Calls one after another, for latency; per round and target."""
    aibridge: str = str(INTERPRETED)
    """The program that is measured."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity: a value per round for each of those it was measured of."""

    what: str
    unit: str
    how: str
    values: dict[str, list[float]]
    comparable: bool = False
    """Whether the ratio of two of them means something."""


Sample = dict[str, float]
"""What one round of one proxy gave: a value per quantity."""


def unary(plan: Plan, sides: Sequence[Proxy]) -> list[Figure]:
    """CPU per call that is answered at once, under full load."""

    def sample(proxy: Proxy) -> Sample:
        before = cpu_at_rest(proxy.pid)
        report = wrk.run(proxy.address, proxy.credential, plan.seconds, proxy.directory)
        if report.refused:
            raise MeasurementError(f"{proxy.name} answered {report.refused} of {report.requests} calls with an error")
        _count(proxy, report)
        spent = cpu_at_rest(proxy.pid) - before
        return {"cpu": spent * _MICRO / report.answered, "rate": report.answered / report.microseconds * _MICRO}

    for proxy in sides:  # connections, code and caches get warm
        report = wrk.run(proxy.address, proxy.credential, 1, proxy.directory)
        _count(proxy, report)
    values = _alternating(plan.rounds, sides, sample)
    how = f"wrk, {wrk.CONNECTIONS} connections, {plan.seconds} s a round"
    return [
        Figure(what="CPU per unary call", unit="µs", how=how, values=values["cpu"], comparable=True),
        Figure(what="unary calls per second", unit="1/s", how=how, values=values["rate"]),
    ]


def streamed(plan: Plan, sides: Sequence[Proxy]) -> list[Figure]:
    """CPU per event of streams that tick at a model's pace. The calls themselves are in it, shared by their events."""
    load = plan.load

    def sample(proxy: Proxy) -> Sample:
        before = cpu_at_rest(proxy.pid)
        outcome = streams.run(proxy.address, proxy.credential, load)
        proxy.sent.answered += load.all_streams
        spent = cpu_at_rest(proxy.pid) - before
        return {
            "cpu": spent * _MICRO / load.all_events,
            "per read": outcome.events_per_read,
            "busy": spent / outcome.seconds * 100,
        }

    values = _alternating(plan.rounds, sides, sample)
    how = (
        f"{load.connections} streams at once, {load.events} events each, one every {load.interval * 1000:g} ms, "
        f"{load.all_events} events a round"
    )
    return [
        Figure(what="CPU per streamed event", unit="µs", how=how, values=values["cpu"], comparable=True),
        Figure(what="events per read of a client", unit="", how=how, values=values["per read"]),
        Figure(what="core busy with streams", unit="%", how=how, values=values["busy"]),
    ]


def added_latency(plan: Plan, sides: Sequence[Proxy], provider: str) -> list[Figure]:
    """What a lone call takes longer than to the upstream directly."""
    direct = "direct"
    targets = {direct: (provider, PROVIDER_KEY)} | {side.name: (side.address, side.credential) for side in sides}
    shares = {"p50": 0.5, "p99": 0.99}
    values: dict[str, dict[str, list[float]]] = {name: {side.name: [] for side in sides} for name in shares}
    for _ in range(plan.rounds):
        taken = latency.measure(targets, plan.calls)
        for name, share in shares.items():
            least = percentile(taken[direct], share)
            for side in sides:
                values[name][side.name].append((percentile(taken[side.name], share) - least) * _MICRO)
    for side in sides:
        side.sent.answered += plan.rounds * latency.calls_made(plan.calls)
    how = f"one connection, one call after another, {plan.calls} a round, minus the same directly"
    return [Figure(what=f"added latency, {name}", unit="µs", how=how, values=values[name]) for name in shares]


def refusals(plan: Plan, provider: str) -> list[Figure]:
    """CPU per refusal and refusals per second, when a caller does not stop."""
    flags = ("--aibridge-rate-limit", "1")
    with _own_directory() as directory, proxies.gateway(plan.aibridge, directory, provider, *flags) as gateway:
        _check_refusal(gateway)

        def sample(proxy: Proxy) -> Sample:
            before = cpu_at_rest(proxy.pid)
            report = wrk.run(proxy.address, proxy.credential, plan.seconds, proxy.directory)
            if report.answered > plan.seconds + 1:
                raise MeasurementError(f"a limit of one a second let {report.answered} through in {plan.seconds} s")
            spent = cpu_at_rest(proxy.pid) - before
            return {"cpu": spent * _MICRO / report.refused, "rate": report.refused / report.microseconds * _MICRO}

        values = _alternating(plan.rounds, [gateway], sample)
    how = f"{' '.join(flags)}; wrk, {wrk.CONNECTIONS} connections, {plan.seconds} s a round"
    return [
        Figure(what="CPU per refused call (429)", unit="µs", how=how, values=values["cpu"]),
        Figure(what="refused calls per second", unit="1/s", how=how, values=values["rate"]),
    ]


def starts(plan: Plan, provider: str) -> list[Figure]:
    """From the start of the process, on an empty data directory, to the first answer; and what it then holds."""
    seconds, megabytes = [], []
    for _ in range(plan.rounds):
        with _own_directory() as directory:
            began = time.monotonic()
            with proxies.gateway(plan.aibridge, directory, provider, *proxies.BOTH_LIMITS) as gateway:
                if (status := proxies.call(gateway).status) != 200:
                    raise MeasurementError(f"the first call was answered with {status}")
                seconds.append(time.monotonic() - began)
                cpu_at_rest(gateway.pid)
                megabytes.append(resident_bytes(gateway.pid) / _MEGABYTE)
    how = "empty data directory: database, owner and token are made"
    return [
        Figure(what="process start to first answered call", unit="s", how=how, values={"gateway": seconds}),
        Figure(what="idle memory (RSS)", unit="MB", how="after that call", values={"gateway": megabytes}),
    ]


def _alternating(
    rounds: int, sides: Sequence[Proxy], sample: Callable[[Proxy], Sample]
) -> dict[str, dict[str, list[float]]]:
    """Sample A B C, A B C, ...: values by quantity, then by proxy."""
    values: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for proxy in sides:
            for quantity, value in sample(proxy).items():
                values.setdefault(quantity, {}).setdefault(proxy.name, []).append(value)
    return values


def _count(proxy: Proxy, report: wrk.Report) -> None:
    proxy.sent.answered += report.answered
    proxy.sent.cut_off += wrk.CONNECTIONS


def _check_refusal(gateway: Proxy) -> None:
    """What is counted as refusals has to be what a client of ours sees."""
    first, second = proxies.call(gateway), proxies.call(gateway)
    if (first.status, second.status) != (200, 429) or not second.headers.get("retry-after", "").isdigit():
        raise MeasurementError(f"expected 200 and 429 with retry-after, got {first.status} and {second.status}")


@contextlib.contextmanager
def _own_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aibridge-bench-") as name:
        yield Path(name)
