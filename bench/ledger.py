"""Whether the gateway has written down what it served: else it was not the gateway that was measured."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from bench import MeasurementError
from bench.conversation import INPUT_TOKENS, OUTPUT_TOKENS
from bench.processes import awaited

_SHIPPED_WITHIN = 60.0
_COUNT = """
    select count(*) filter (where i.status = 'completed'),
           count(*) filter (where i.status != 'completed'),
           count(*) filter (where i.ended_at is null),
           count(*) filter (where i.status = 'completed' and u.source = 'provider'
                              and u.input_tokens = ? and u.output_tokens = ?)
      from interceptions i left join token_usages u on u.interception_id = i.id
"""


class Sent(msgspec.Struct, kw_only=True):
    """What clients sent through one gateway."""

    answered: int = 0
    """Calls whose whole answer arrived."""
    cut_off: int = 0
    """Calls, at most, that a client gave up at the end of its time. The gateway may or may not have begun them."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger holds."""

    completed: int
    given_up: int
    open: int
    with_usage: int
    """Completed ones with exactly the usage that the upstream reports."""


def check(database: Path, sent: Sent) -> Counts:
    """Wait until the ledger has everything, and compare it with what was sent.

    Raises:
        MeasurementError: it has more, less or something else.
    """
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:

        def shipped() -> Counts | None:
            row = connection.execute(_COUNT, (INPUT_TOKENS, OUTPUT_TOKENS)).fetchone()
            counts = Counts(completed=row[0], given_up=row[1], open=row[2], with_usage=row[3])
            return counts if counts.completed >= sent.answered and not counts.open else None

        what = f"the ledger to hold {sent.answered} completed calls"
        counts = awaited(shipped, what, within=_SHIPPED_WITHIN, every=0.25)
    judge(counts, sent)
    return counts


def judge(counts: Counts, sent: Sent) -> None:
    """Compare what was written down with what was sent.

    Raises:
        MeasurementError: they do not agree.
    """
    recorded = counts.completed + counts.given_up
    if not sent.answered <= counts.completed <= recorded <= sent.answered + sent.cut_off:
        raise MeasurementError(
            f"the ledger holds {recorded} calls, {counts.completed} of them completed; clients got {sent.answered} "
            f"answers and gave up {sent.cut_off} calls at most"
        )
    if counts.with_usage != counts.completed:
        raise MeasurementError(f"of {counts.completed} completed calls, {counts.with_usage} have the right usage")
