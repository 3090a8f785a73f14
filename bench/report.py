"""What was found, for people and for programs."""

from collections.abc import Sequence

import msgspec

from bench import machine
from bench.figures import Spread, ratios, shown, spread
from bench.ledger import Counts, Sent
from bench.machine import Machine
from bench.measures import Figure, Plan

GATEWAY = "gateway"
SIDES = (GATEWAY, "nginx", "envoy")
_OTHERS = SIDES[1:]
_TITLES = {GATEWAY: "AI Bridge", "nginx": "nginx", "envoy": "Envoy"}


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway in units of another, of one quantity."""

    what: str
    of: str
    rounds: list[float]
    spread: Spread


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run."""

    machine: Machine
    plan: Plan
    figures: list[Figure]
    ledger: Counts | None = None
    sent: Sent | None = None

    @property
    def ratios(self) -> list[Ratio]:
        """Of each quantity for which they mean something, against each of the others."""
        found = []
        for figure in self.figures:
            for other in _OTHERS if figure.comparable else ():
                rounds = ratios(figure.values[GATEWAY], figure.values[other])
                found.append(Ratio(what=figure.what, of=other, rounds=rounds, spread=spread(rounds)))
        return found


def markdown(findings: Findings) -> str:
    """A table: the median of the rounds, and the least and the most."""
    by_quantity = {(ratio.what, ratio.of): ratio.spread for ratio in findings.ratios}
    header = [
        "",
        *(_TITLES[side] for side in SIDES),
        *(f"{_TITLES[GATEWAY]} / {_TITLES[other]}" for other in _OTHERS),
        "how",
    ]
    rows = [_row(header), _row(["---"] * len(header))]
    for figure in findings.figures:
        cells = [_cell(spread(figure.values[side])) if side in figure.values else "" for side in SIDES]
        compared = [by_quantity.get((figure.what, other)) for other in _OTHERS]
        what = f"{figure.what}, {figure.unit}" if figure.unit else figure.what
        rows.append(_row([what, *cells, *("" if one is None else _cell(one) for one in compared), figure.how]))
    rounds = f"Median of {findings.plan.rounds} alternating rounds (least to most); ratios round by round."
    return "\n".join([machine.line(findings.machine), "", rounds, "", *rows, *_ledger_lines(findings)])


def as_json(findings: Findings) -> bytes:
    """Everything, every round included."""
    whole = msgspec.to_builtins(findings) | {"ratios": msgspec.to_builtins(findings.ratios)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _ledger_lines(findings: Findings) -> Sequence[str]:
    counts, sent = findings.ledger, findings.sent
    if counts is None or sent is None:
        return ()
    agreement = (
        f"AI Bridge's ledger agrees: {sent.answered:,} calls were answered, and {sent.cut_off:,} at most given up by "
        f"wrk at the end of its time; it holds {counts.completed:,} completed calls, {counts.with_usage:,} of them "
        f"with their usage, and {counts.given_up:,} that were given up."
    )
    return ("", agreement)


def _cell(one: Spread) -> str:
    return f"{shown(one.median)} ({shown(one.least)} to {shown(one.most)})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
