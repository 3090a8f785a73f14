"""`aibridge interceptions list` over a real ledger."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aibridge.cli import cli
from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store import users
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink

SECOND = 1_000_000
START = 1_764_000_000 * SECOND


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["interceptions", "list", *arguments], env={"CODER_DATABASE_URL": None})


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls, a minute apart: one of Ada's that ended, two of somebody unknown that run."""
    monkeypatch.setenv("CODER_DATA_DIR", str(tmp_path))
    database = Database.open(f"sqlite:///{tmp_path}/aibridge.db")
    ada = users.create(database, username="ada", now=START)
    calls = [
        Interception(
            id=f"call-{number}",
            actor_id=ada.id if number == 0 else "gone",
            token_id="t",
            provider="openai" if number == 0 else "anthropic",
            route="/v1/x",
            model=f"model-{number}",
            streaming=True,
            client="Claude Code",
            session_id=None,
            user_agent="x",
            started_at=START + number * 60 * SECOND,
        )
        for number in range(3)
    ]
    ending = Ending(
        id="call-0",
        status=Status.COMPLETED,
        http_status=200,
        ended_at=START + SECOND,
        usage=Usage(input_tokens=11, output_tokens=22, cache_read_input_tokens=33),
        usage_source=UsageSource.PROVIDER,
    )
    LedgerSink(database).write(calls, [ending])


def test_calls_are_listed_the_newest_first() -> None:
    result = run()
    heading, *rows = result.stdout.splitlines()

    assert (result.exit_code, result.stderr) == (0, "")
    assert heading.split()[:5] == ["STARTED", "USER", "PROVIDER", "MODEL", "CLIENT"]
    assert [row.split()[-1] for row in rows] == ["call-2", "call-1", "call-0"]
    assert re.split(" {2,}", rows[2]) == (
        ["2025-11-24 16:00:00Z", "ada", "openai", "model-0", "Claude Code", "completed", "200", "11", "22", "call-0"]
    )
    assert re.split(" {2,}", rows[1]) == (
        ["2025-11-24 16:01:00Z", "-", "anthropic", "model-1", "Claude Code", "running", "-", "-", "-", "call-1"]
    )


def test_json_tells_all() -> None:
    result = run("--output", "json", "--initiator", "ada")

    (row,) = json.loads(result.stdout)
    assert row["started"] == "2025-11-24T16:00:00Z"
    assert row["ended"] == "2025-11-24T16:00:01Z"
    assert (row["status"], row["http_status"], row["error"]) == ("completed", 200, None)
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_input_tokens"]) == (11, 22, 33)
    assert (row["streaming"], row["route"]) == (True, "/v1/x")


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (("--provider", "openai"), ["call-0"]),
        (("--model", "model-1"), ["call-1"]),
        (("--client", "Codex"), []),
        (("--initiator", "nobody"), []),
        (("--limit", "1"), ["call-2"]),
        (("--after-id", "call-1"), ["call-0"]),
    ],
)
def test_conditions_narrow_the_list(arguments: tuple[str, ...], ids: list[str]) -> None:
    assert [row["id"] for row in json.loads(run(*arguments, "--output", "json").stdout)] == ids


def test_a_page_says_how_to_get_the_next_one() -> None:
    assert run("--limit", "2").stderr == "3 match in all; the next page: --after-id call-1\n"
    assert run("--limit", "3").stderr == ""


def test_the_last_page_does_not_promise_another() -> None:
    assert run("--limit", "1", "--after-id", "call-1").stderr == ""


def test_an_unknown_place_to_continue_is_an_error() -> None:
    result = run("--after-id", "call-9")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no interception 'call-9'" in result.stderr
