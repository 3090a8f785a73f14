"""What a rehearsal of limits came to, as a page: one file, plots as inline SVG, no script and nothing to fetch."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from math import ceil

import msgspec

from aibridge.cli.simulate_table import text
from aibridge.limits.load import MINUTE
from aibridge.limits.replay_report import ActorSums, Minute, Summary

_COLUMNS = 480
"""Points of a line at most; each stands for as many whole minutes as it must."""
_LEFT, _WIDTH, _RIGHT, _HEIGHT, _FOOT = 90, 940, 40, 150, 24
_ROW = 18
_ACTORS = 15
"""Rows of those who were refused."""
_LABELS = 8
"""Instants that are written below a plot at most."""

_STYLE = """
:root { color-scheme: light dark; --grid: #8884; --a: #888; --b: #2563eb; --c: #dc2626; --d: #d97706 }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1080px; padding: 0 1rem }
h2 { font-size: 1rem; margin: 1.5rem 0 0 } svg { width: 100%; height: auto } pre { overflow-x: auto }
svg text { fill: currentColor; font-size: 11px } .grid { stroke: var(--grid) }
polyline { fill: none; stroke-width: 1.4 }
.a { stroke: var(--a) } .b { stroke: var(--b) } .c { stroke: var(--c) } .d { stroke: var(--d) } .cell { fill: var(--c) }
.key { font-weight: 600 } .key.a { color: var(--a) } .key.b { color: var(--b) } .key.c { color: var(--c) }
.key.d { color: var(--d) }
"""


class _Series(msgspec.Struct, frozen=True):
    """A line: its name, its class in the style, and what it shows of a minute."""

    name: str
    kind: str
    value: Callable[[Minute], int]


_PLOTS: tuple[tuple[str, tuple[_Series, ...]], ...] = (
    (
        "Calls per minute",
        (
            _Series("recorded", "a", lambda minute: minute.calls),
            _Series("admitted", "b", lambda minute: minute.admitted),
            _Series("queued", "d", lambda minute: minute.queued),
            _Series("refusals", "c", lambda minute: minute.refusals),
        ),
    ),
    (
        "Calls in progress upstream",
        (
            _Series("recorded", "a", lambda minute: minute.concurrency_before),
            _Series("with these limits", "b", lambda minute: minute.concurrency_after),
        ),
    ),
    (
        "Tokens per minute upstream",
        (
            _Series("recorded", "a", lambda minute: minute.tokens_before),
            _Series("with these limits", "b", lambda minute: minute.tokens_after),
        ),
    ),
)


class _Time(msgspec.Struct, frozen=True):
    """The time axis: `columns` of `width` minutes each, from `first` on."""

    first: datetime
    width: int
    columns: int

    def column(self, at: datetime) -> int:
        """The column of an instant."""
        return int((at - self.first).total_seconds() // (self.width * MINUTE))

    def instant(self, column: int) -> datetime:
        """When a column begins."""
        return self.first + timedelta(minutes=self.width * column)

    def x(self, column: float) -> float:
        """Where a column begins in a plot."""
        return _LEFT + _WIDTH * column / self.columns


def page(summary: Summary, title: str) -> str:
    """The whole page, as HTML."""
    time = _axis(summary)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>',
            f"<body><h1>{escape(title)}</h1>",
            f"<p>Times are UTC. Each point is the busiest minute of {time.width}.</p>",
            *(_plot(name, series, summary.minutes, time) for name, series in _PLOTS),
            _who([actor for actor in summary.actors if actor.refusals][:_ACTORS], time),
            f"<h2>In numbers</h2><pre>{escape(text(summary, _ACTORS))}</pre></body></html>\n",
        ]
    )


def _axis(summary: Summary) -> _Time:
    minutes = [minute.at for minute in summary.minutes]
    first, last = min(minutes, default=summary.first), max(minutes, default=summary.last)
    length = int((last - first).total_seconds() // MINUTE) + 1
    width = ceil(length / _COLUMNS)
    return _Time(first, width, ceil(length / width))


def _plot(name: str, series: Sequence[_Series], minutes: Sequence[Minute], time: _Time) -> str:
    lines = [[0] * time.columns for _ in series]
    for minute in minutes:
        column = time.column(minute.at)
        for line, shown in zip(lines, series, strict=True):
            line[column] = max(line[column], shown.value(minute))
    top = max(2, *(max(line) + max(line) % 2 for line in lines))  # even: half of it is written, too
    keys = " ".join(f'<span class="key {shown.kind}">{shown.name}</span>' for shown in series)
    return "\n".join(
        [
            f"<h2>{name}</h2><div>{keys}</div>",
            _opening(_HEIGHT),
            *_levels(top),
            *_instants(time, _HEIGHT),
            *(_line(line, top, shown, time) for line, shown in zip(lines, series, strict=True)),
            "</svg>",
        ]
    )


def _line(values: Sequence[int], top: int, series: _Series, time: _Time) -> str:
    """A line in steps: a column is level."""
    points = []
    for column, value in enumerate(values):
        y = _HEIGHT * (1 - value / top) + 1
        points += [f"{time.x(column):.1f},{y:.1f}", f"{time.x(column + 1):.1f},{y:.1f}"]
    peak = f"{series.name}: at most {max(values)}"
    return f'<polyline class="{series.kind}" points="{" ".join(points)}"><title>{peak}</title></polyline>'


def _who(actors: Sequence[ActorSums], time: _Time) -> str:
    """A row for each actor, darker where more was refused."""
    if not actors:
        return "<h2>Who was refused</h2><p>Nobody.</p>"
    rows = [_by_column(actor, time) for actor in actors]
    most = max(max(row.values()) for row in rows)
    height = _ROW * len(actors)
    parts = ["<h2>Who was refused, and when</h2>", _opening(height), *_instants(time, height)]
    for number, (actor, row) in enumerate(zip(actors, rows, strict=True)):
        y = _ROW * number
        label = escape(actor.actor if len(actor.actor) <= _ACTORS else f"{actor.actor[: _ACTORS - 1]}…")
        parts.append(f'<text x="{_LEFT - 6}" y="{y + _ROW - 5}" text-anchor="end">{label}</text>')
        for column, number_refused in row.items():
            title = f"{escape(actor.actor)}: {number_refused} refusals, {time.instant(column):%Y-%m-%d %H:%MZ}"
            parts.append(
                f'<rect class="cell" x="{time.x(column):.1f}" y="{y + 2}" width="{_WIDTH / time.columns:.2f}" '
                f'height="{_ROW - 4}" opacity="{0.2 + 0.8 * number_refused / most:.2f}"><title>{title}</title></rect>'
            )
    return "\n".join([*parts, "</svg>"])


def _by_column(actor: ActorSums, time: _Time) -> dict[int, int]:
    row: dict[int, int] = {}
    for at, number in actor.refusals_by_minute.items():
        column = time.column(at)
        row[column] = row.get(column, 0) + number
    return row


def _opening(height: float) -> str:
    return f'<svg viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height + _FOOT}" role="img">'


def _levels(top: int) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT * (1 - share) + 1
        yield f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 10}" text-anchor="end">{top * share:,.0f}</text>'


def _instants(time: _Time, height: float) -> Iterator[str]:
    """Lines at round instants, with their names."""
    length = time.width * time.columns
    step = next((step for step in _ROUND if length <= step * _LABELS), ceil(length / _LABELS / _DAY) * _DAY)
    begin = time.first - datetime.fromtimestamp(0, UTC)
    minute = -(int(begin.total_seconds() // MINUTE) % -step)
    form = "%m-%d %H:%M" if length > _DAY else "%H:%M"
    while minute < length:
        x = time.x(minute / time.width)
        at = time.first + timedelta(minutes=minute)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>'
        yield f'<text x="{x:.1f}" y="{height + 16}" text-anchor="middle">{at:{form}}</text>'
        minute += step


_DAY = 1440
_ROUND = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, _DAY)
"""Minutes between two instants that are written below a plot."""
