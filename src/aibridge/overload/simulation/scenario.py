"""What is simulated: who calls, through which gateway, which provider, and what happens to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aibridge.overload.simulation.gateway import Gateway, GatewayRule
from aibridge.overload.simulation.report import Report
from aibridge.overload.simulation.timeline import Luck, Timeline
from aibridge.overload.simulation.traffic import Flow, Traffic
from aibridge.overload.simulation.upstream import Upstream, UpstreamModel


@dataclass(slots=True, frozen=True)
class BrownOut:
    """From `at` on, for `seconds`, the provider has only this `share` of its slots."""

    at: float
    seconds: float = 20.0
    share: float = 0.3


@dataclass(slots=True, frozen=True)
class Scenario:
    """Calls are begun for `seconds`, and all are brought to their end; those of the first `warm_up` do not count."""

    flows: Sequence[Flow]
    gateway: GatewayRule = GatewayRule()  # noqa: RUF009 - frozen
    upstream: UpstreamModel = UpstreamModel()  # noqa: RUF009 - frozen
    brown_outs: Sequence[BrownOut] = ()
    seconds: float = 300.0
    warm_up: float = 60.0


def run(scenario: Scenario, luck: Luck) -> Report:
    """Let it happen."""
    timeline = Timeline()
    upstream = Upstream(scenario.upstream, timeline)
    traffic = Traffic(scenario.upstream, timeline, luck, until=scenario.seconds)
    gateway = Gateway(scenario.gateway, upstream, traffic, timeline, luck)
    for brown_out in scenario.brown_outs:
        timeline.after(brown_out.at, partial(upstream.resize, brown_out.share))
        timeline.after(brown_out.at + brown_out.seconds, partial(upstream.resize, 1.0))
    traffic.begin(scenario.flows, gateway.send)
    timeline.run()
    return Report(
        calls=tuple(traffic.calls),
        since=scenario.warm_up,
        until=scenario.seconds,
        capacity=scenario.upstream.capacity,
        gateway_calls=tuple(gateway.calls),
        turned_away=gateway.turned_away,
        retries=gateway.retries,
        requests=tuple(upstream.requests),
        refusals=upstream.refusals,
        late=upstream.late,
        limit=gateway.limiter.maximum,
    )
