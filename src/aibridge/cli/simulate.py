"""`aibridge simulate`: what other limits would have done to the calls that came."""

import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from os import PathLike
from pathlib import Path

import click
import msgspec

from aibridge.cli.database import now, opened
from aibridge.cli.flags import GroupedCommand, takes
from aibridge.cli.output import JSON, json, output_option
from aibridge.cli.simulate_plot import page
from aibridge.cli.simulate_table import text
from aibridge.cli.times import Instant
from aibridge.control.instants import microseconds
from aibridge.domain.rule import Rule, Subject
from aibridge.limits.arrivals import Arrival, ArrivalError, read_arrivals
from aibridge.limits.replay import Replay
from aibridge.limits.replay_report import Report, Summary
from aibridge.limits.synthetic import synthetic
from aibridge.limits.written import Written, read_limits
from aibridge.options import LOCATION, OptionError
from aibridge.store import arrivals as ledger

_LEDGER, _SYNTHETIC = "ledger", "synthetic"
_STEP = 1000
"""Arrivals between two looks of the progress bar."""
_PAGES = (".html", ".htm")
"""How the name of a page may end."""

_EXAMPLES = """\b
Examples:
  aibridge simulate --limits new.yaml --from ledger --since 7d --plot week.html
  aibridge simulate --limits new.yaml --from calls.jsonl --retries 2
  aibridge simulate --limits new.yaml --from synthetic --calls 100000 --output json
"""


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the calls come from: `ledger`, `synthetic` or the name of a file; and which of them."""

    name: str
    since: datetime | None
    until: datetime | None
    seed: int
    calls: int | None

    @contextmanager
    def open(self, flags: Mapping[str, str | None]) -> Iterator[tuple[int, Iterable[Arrival]]]:
        """How many calls there are, and the calls in the order of time.

        Raises:
            click.ClickException: they cannot be read.
        """
        if self.name.lower() == _LEDGER:
            until = now() if self.until is None else microseconds(self.until)
            since = 0 if self.since is None else microseconds(self.since)
            period = ledger.Period(since=since, until=until)
            with opened(flags) as database:
                yield ledger.count(database, period), ledger.arrivals(database, period)
        elif self.name.lower() == _SYNTHETIC:
            calls = self.calls or 20_000
            yield calls, synthetic(self.seed, calls)
        else:
            try:
                found = read_arrivals(Path(self.name))
            except ArrivalError as error:
                raise click.ClickException(str(error)) from None
            yield len(found), found


class _Page(click.Path):
    """A file for a page: its name says that it is HTML, which is all that is written."""

    name = "page"

    def convert(
        self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | PathLike[str]:
        """Read what was given."""
        if Path(value).suffix.lower() not in _PAGES:
            self.fail(f"{str(value)!r} is not allowed; allowed: a file ending in {' or '.join(_PAGES)}", param, ctx)
        return super().convert(value, param, ctx)


@click.command("simulate", cls=GroupedCommand, epilog=_EXAMPLES)
@click.option("--limits", "file", required=True, type=click.Path(path_type=Path), help="YAML file with the limits.")
@click.option(
    "--from",
    "name",
    required=True,
    metavar="ledger|FILE|synthetic",
    help="The calls: those of the ledger, those of a file (JSON Lines or CSV), or a day that is made up.",
)
@click.option("--since", type=Instant(), help="Only calls of the ledger since then: 2026-11-24T09:00:00Z, or 7d ago.")
@click.option("--until", type=Instant(), help="Only calls of the ledger before then.")
@click.option("--calls", type=click.IntRange(1, 10**7), help="How many calls to make up.  [default: 20000]")
@click.option(
    "--retries",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    help="How often a refused client comes back when it was told to; the vendors' SDKs do twice.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another one makes up another day.")
@click.option(
    "--plot",
    type=_Page(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page with the plots to this file, whose name ends in .html or .htm.",
)
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many actors the table shows.")
@output_option
@takes(LOCATION)
def command(  # noqa: PLR0913 -- one argument per flag
    *,
    file: Path,
    name: str,
    since: datetime | None,
    until: datetime | None,
    calls: int | None,
    retries: int,
    seed: int,
    plot: Path | None,
    top: int,
    output: str,
    **flags: str | None,
) -> None:
    """Try limits on calls that came before.

    Plays recorded calls against the limits of a file, on a clock of its own, and tells who would have been refused or
    queued, when, and what the provider would have had to do. Nothing is changed, and no provider is asked.
    """
    source = _Source(name=name, since=since, until=until, seed=seed, calls=calls)
    if (since is not None or until is not None) and name.lower() != _LEDGER:
        raise click.UsageError("--since and --until are for --from ledger")
    if calls is not None and name.lower() != _SYNTHETIC:
        raise click.UsageError("--calls is for --from synthetic")
    limits = _limits(file)
    with source.open(flags) as (count, arrivals):
        if not count:
            raise click.ClickException(f"there are no calls to play: {name} has none of that time")
        summary = _play(count, arrivals, limits, retries, seed)
    if plot is not None:
        _write(plot, page(summary, f"{name} against {file.name}"))
    click.echo(json(summary) if output == JSON else text(summary, top))


def _limits(file: Path) -> Written:
    try:
        limits = read_limits(file)
    except OptionError as error:
        raise click.UsageError(str(error)) from None
    known = tuple(rule for rule in limits.rules if rule.subject is not Subject.ADDRESS)
    for rule in limits.rules:
        if rule not in known:
            click.echo(f"aibridge: {rule.name} is left out: it counts addresses, which are not recorded", err=True)
    return Written(known, limits.prices)


def _play(count: int, arrivals: Iterable[Arrival], limits: Written, retries: int, seed: int) -> Summary:
    report = Report(limits.rules, limits.prices)
    organizations = set[str]()
    chance = random.Random(seed)  # noqa: S311 -- wants to be repeated, not to be unguessable
    bar = click.progressbar(length=count, label="Playing", file=sys.stderr, hidden=not sys.stderr.isatty())
    with bar, Replay(limits.rules, limits.prices, retries=retries, luck=chance.random) as replay:
        for number, arrival in enumerate(arrivals, 1):
            report.arrived(arrival)
            organizations.add(arrival.organization)
            for decision in replay.arrive(arrival):
                report.decided(decision)
            if number % _STEP == 0:
                bar.update(_STEP)
        for decision in replay.finish():
            report.decided(decision)
        bar.update(count % _STEP)
    if len(organizations) == 1:
        _tell_of_one_organization(limits.rules, organizations.pop())
    return report.summary()


def _tell_of_one_organization(rules: Iterable[Rule], organization: str) -> None:
    """Say which rules tell organizations apart though all calls are of one, or of none where its name is empty."""
    all_are = f"all calls are of {organization}" if organization else "none is recorded for any call"
    for rule in rules:
        if rule.subject is Subject.ORGANIZATION:
            click.echo(f"aibridge: {rule.name} counts by organization, but {all_are}: it sees a single one", err=True)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from None
    click.echo(f"The plots are in {path}", err=True)
