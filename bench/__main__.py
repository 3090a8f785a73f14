"""`python -m bench`: gateway, nginx and Envoy side by side, and what else the gateway's figures are."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from bench import MeasurementError, ledger, machine, measures, proxies, report
from bench.ledger import Counts, Sent
from bench.measures import Figure, Plan
from bench.processes import OTHER_CORE
from bench.proxies import Proxy
from bench.report import Findings
from bench.streams import Load

PARTS = ("unary", "stream", "latency", "refusal", "start")
FULL = Plan(rounds=5, seconds=3, load=Load(connections=64, streams=3, events=200, interval=0.005), calls=1000)
QUICK = Plan(rounds=2, seconds=1, load=Load(connections=64, streams=1, events=100, interval=0.005), calls=200)


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), help="How often everything is measured. [default: 5; quick: 2]")
@click.option("--quick", is_flag=True, help="Short rounds: shows that it works, not how fast it is.")
@click.option("--only", type=click.Choice(PARTS), help="Measure only this.")
@click.option("--rules", is_flag=True, help="With five rules switched on, instead of the two limits alone.")
@click.option("--interpreted", is_flag=True, help="Measure the interpreted build, though there is a compiled one.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all rounds here.")
def main(  # noqa: PLR0913 (each is an option)
    rounds: int | None, only: str | None, json_file: Path | None, *, quick: bool, rules: bool, interpreted: bool
) -> None:
    """Measure AI Bridge beside nginx and Envoy; print a table for a README.

    Exit code 1 when something went wrong that would make the figures worthless, 2 when something is missing here.
    """
    if problems := machine.missing():
        for problem in problems:
            click.echo(f"bench: {problem}", err=True)
        sys.exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we started is ended
    os.sched_setaffinity(0, {OTHER_CORE})
    plan = QUICK if quick else FULL
    build = machine.INTERPRETED if interpreted or not machine.COMPILED.exists() else machine.COMPILED
    plan = replace(plan, rounds=rounds or plan.rounds, aibridge=str(build))
    try:
        limits = proxies.FIVE_RULES if rules else proxies.BOTH_LIMITS
        findings = run(plan, PARTS if only is None else (only,), limits)
    except MeasurementError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(1)
    if json_file is not None:
        json_file.write_bytes(report.as_json(findings))
    click.echo(report.markdown(findings))


def run(plan: Plan, parts: tuple[str, ...], limits: tuple[str, ...] = proxies.BOTH_LIMITS) -> Findings:
    """Measure these parts; the gateway beside the others has these limits.

    Raises:
        MeasurementError: something did not go as it must.
    """
    figures: list[Figure] = []
    counts: Counts | None = None
    sent: Sent | None = None
    with contextlib.ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="aibridge-bench-")))
        provider = running.enter_context(proxies.upstream(directory, plan.load))
        if {"unary", "stream", "latency"} & set(parts):
            with side_by_side(plan.aibridge, directory, provider, limits) as sides:
                if "unary" in parts:
                    figures += measures.unary(plan, sides)
                if "stream" in parts:
                    figures += measures.streamed(plan, sides)
                if "latency" in parts:
                    figures += measures.added_latency(plan, sides, provider)
                sent = sides[0].sent
                counts = ledger.check(directory / "data" / "aibridge.db", sent)
        if "refusal" in parts:
            figures += measures.refusals(plan, provider)
        if "start" in parts:
            figures += measures.starts(plan, provider)
    return Findings(machine=machine.described(plan.aibridge), plan=plan, figures=figures, ledger=counts, sent=sent)


@contextlib.contextmanager
def side_by_side(aibridge: str, directory: Path, provider: str, limits: tuple[str, ...]) -> Iterator[list[Proxy]]:
    """All three, running and proven to answer: the gateway first."""
    with (
        proxies.gateway(aibridge, directory, provider, *limits) as gateway,
        proxies.nginx(directory, provider) as nginx,
        proxies.envoy(directory, provider) as envoy,
    ):
        sides = [gateway, nginx, envoy]
        for side in sides:
            if (status := proxies.call(side).status) != 200:
                raise MeasurementError(f"{side.name} answered the first call with {status}")
        yield sides


if __name__ == "__main__":
    main()
