from contextlib import closing
from pathlib import Path

import pytest

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink
from bench import MeasurementError, ledger
from bench.conversation import INPUT_TOKENS, OUTPUT_TOKENS
from bench.ledger import Counts, Sent

RIGHT = Usage(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)


def test_the_ledger_is_counted_as_the_gateway_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "aibridge.db"
    with closing(Database.open(f"sqlite:///{path}")) as database:
        names = [f"call-{number}" for number in range(4)]
        endings = [_ending(names[0], RIGHT), _ending(names[1], RIGHT), _ending(names[2], RIGHT)]
        endings.append(Ending(id=names[3], status=Status.CANCELLED, ended_at=2))
        LedgerSink(database).write([_interception(name) for name in names], endings)
        assert ledger.check(path, Sent(answered=2, cut_off=2)) == Counts(completed=3, given_up=1, open=0, with_usage=3)


@pytest.mark.parametrize("usage", [None, Usage(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS + 1)])
def test_a_call_without_its_usage_is_found_out(tmp_path: Path, usage: Usage | None) -> None:
    path = tmp_path / "aibridge.db"
    with closing(Database.open(f"sqlite:///{path}")) as database:
        LedgerSink(database).write([_interception("call")], [_ending("call", usage)])
        with pytest.raises(MeasurementError, match="of 1 completed calls, 0 have the right usage"):
            ledger.check(path, Sent(answered=1))


def test_what_wrk_gave_up_may_be_recorded_as_either_or_not_at_all() -> None:
    for completed, given_up in ((10, 0), (10, 3), (12, 1), (13, 0)):
        ledger.judge(_counts(completed, given_up), Sent(answered=10, cut_off=3))


@pytest.mark.parametrize(("completed", "given_up"), [(9, 0), (9, 1), (10, 4), (14, 0)])
def test_calls_too_few_or_too_many_are_found_out(completed: int, given_up: int) -> None:
    with pytest.raises(MeasurementError, match="the ledger holds"):
        ledger.judge(_counts(completed, given_up), Sent(answered=10, cut_off=3))


def _counts(completed: int, given_up: int) -> Counts:
    return Counts(completed=completed, given_up=given_up, open=0, with_usage=completed)


def _interception(name: str) -> Interception:
    return Interception(
        id=name,
        actor_id="a",
        token_id="t",
        provider="openai",
        route="/v1/chat/completions",
        model="gpt-bench",
        streaming=False,
        client="Unknown",
        session_id=None,
        user_agent="",
        started_at=1,
    )


def _ending(name: str, usage: Usage | None) -> Ending:
    source = UsageSource.UNKNOWN if usage is None else UsageSource.PROVIDER
    return Ending(id=name, status=Status.COMPLETED, http_status=200, ended_at=2, usage=usage, usage_source=source)
