"""`aibridge simulate` from the command line to the table and the JSON."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from simulate_samples import RULES, SECOND, START, calls_in, limits_in, line, run

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.interception_id import interception_id
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink


@pytest.fixture
def limits(tmp_path: Path) -> str:
    return limits_in(tmp_path)


@pytest.fixture
def calls(tmp_path: Path) -> str:
    return calls_in(tmp_path)


def in_json(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--output", "json")
    assert result.exit_code == 0, result.stderr
    summary: dict[str, Any] = json.loads(result.stdout)
    return summary


def test_the_table_says_who_when_and_by_what(limits: str, calls: str) -> None:
    result = run("--limits", limits, "--from", calls)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = [text.split() for text in result.stdout.splitlines()]
    for expected in (
        "6 calls of 2 actors, 2025-11-24 16:00:00Z to 2025-11-24 17:00:00Z",
        "admitted 3",
        "refused 3 (50.0%), after 3 refusals",
        "queued 0",
        "calls 6 3",
        "most at one time 5 2",
        "most tokens in a minute 75 30",
        "cap enforce everyone 2 concurrent 2 - 3 0",
        "rate shadow user 3 requests in 60 s 2 ada 0 0",
        "ada 5 2 3 3 0 0 - 2025-11-24 16:00:02Z 2025-11-24 16:00:04Z cap",
        "<ben> 1 1 0 0 0 0 - - - -",
    ):
        assert expected.split() in lines


def test_the_table_is_as_long_as_asked_for(limits: str, calls: str) -> None:
    result = run("--limits", limits, "--from", calls, "--top", "1")
    assert "<ben>" not in result.stdout
    assert result.stdout.endswith("1 more actors\n")


def test_json_tells_all(limits: str, calls: str) -> None:
    summary = in_json("--limits", limits, "--from", calls)
    assert summary["totals"]["refusals"] == 3
    assert [rule["rule"]["name"] for rule in summary["rules"]] == ["cap", "rate"]
    assert summary["actors"][0]["refusals_by_minute"] == {"2025-11-24T16:00:00Z": 3}
    assert [minute["at"] for minute in summary["minutes"]] == ["2025-11-24T16:00:00Z", "2025-11-24T17:00:00Z"]


def test_progress_is_shown_on_a_terminal_and_only_there(limits: str, calls: str) -> None:
    program = [sys.executable, "-c", "from aibridge.cli import main; main()", "simulate", "--limits", limits]
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*program, "--from", calls], stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True
        )
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert "Playing  [####" in shown
    assert "100%" in shown
    assert b"Playing" not in done.stdout


def test_clients_may_come_back(limits: str, calls: str) -> None:
    totals = in_json("--limits", limits, "--from", calls, "--retries", "5")["totals"]
    assert totals["admitted"] > 3
    assert totals["refusals"] > totals["refused"]


def test_a_made_up_day_is_the_same_for_the_same_seed(limits: str) -> None:
    arguments = ("--limits", limits, "--from", "Synthetic", "--calls", "2000", "--retries", "2")
    one, same, other = (run(*arguments, "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert one == same != other
    assert one.startswith("2000 calls of 22 actors")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six calls, a minute apart, two minutes each, the first of them three days before the others."""
    monkeypatch.setenv("CODER_DATA_DIR", str(tmp_path))
    database = Database.open(f"sqlite:///{tmp_path}/aibridge.db")
    starts, endings = [], []
    for number in range(6):
        instant = START + number * 60 * SECOND - (3 * 86400 * SECOND if number == 0 else 0)
        name = interception_id(instant, number)
        starts.append(
            Interception(
                id=name,
                actor_id="u1",
                token_id="t1",
                provider="openai",
                route="/v1/x",
                model="gpt-6",
                streaming=True,
                client="Codex",
                session_id=None,
                user_agent="x",
                started_at=instant,
            )
        )
        endings.append(
            Ending(
                id=name,
                status=Status.COMPLETED,
                ended_at=instant + 150 * SECOND,
                usage=Usage(input_tokens=10, output_tokens=5),
                usage_source=UsageSource.PROVIDER,
            )
        )
    LedgerSink(database).write(starts, endings)
    database.close()


@pytest.mark.usefixtures("ledger")
def test_the_ledger_is_played(limits: str) -> None:
    totals = in_json("--limits", limits, "--from", "ledger")["totals"]
    # Of the five of one day the third finds two in progress.
    assert (totals["calls"], totals["admitted"], totals["concurrency_before"]) == (6, 5, 3)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        (("--since", "2025-11-24"), 5),
        (("--until", "2025-11-24"), 1),
        (("--since", "2025-11-24T17:02:00+01:00", "--until", "2025-11-24T16:04:00Z"), 2),
        (("--until", "1s"), 6),
        (("--since", "9999999d"), 6),  # longer ago than there are dates
    ],
)
def test_a_part_of_the_ledger_is_played(limits: str, arguments: tuple[str, ...], calls: int) -> None:
    assert in_json("--limits", limits, "--from", "ledger", *arguments)["totals"]["calls"] == calls


@pytest.mark.usefixtures("ledger")
def test_a_day_begins_at_midnight_of_utc_wherever_the_operator_is(limits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead
    time.tzset()
    try:
        totals = in_json("--limits", limits, "--from", "ledger", "--until", "2025-11-24")["totals"]
        later = run("--limits", limits, "--from", "ledger", "--since", "2025-11-25")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert totals["calls"] == 1
    assert "ledger has none of that time" in later.stderr


@pytest.mark.usefixtures("ledger")
def test_a_time_of_which_nothing_is_known_is_an_error(limits: str) -> None:
    result = run("--limits", limits, "--from", "ledger", "--since", "1d")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ledger has none of that time" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--from", "none.jsonl"), 1, "cannot read none.jsonl: No such file or directory"),
        (("--from", "synthetic", "--since", "1d"), 2, "--since and --until are for --from ledger"),
        (("--from", "ledger", "--calls", "5"), 2, "--calls is for --from synthetic"),
        (("--from", "ledger", "--since", "soon"), 2, "'soon' is not allowed; allowed: an instant such as"),
        (("--from", "synthetic", "--plot", "/no/such/place.html"), 1, "cannot write /no/such/place.html: No such"),
        (
            ("--from", "synthetic", "--plot", "out.png"),
            2,
            "Invalid value for '--plot': 'out.png' is not allowed; allowed: a file ending in .html or .htm",
        ),
        (("--from", "synthetic", "--plot", "html"), 2, "Invalid value for '--plot': 'html' is not allowed"),
        ((), 2, "Missing option '--from'"),
    ],
)
def test_what_is_wrong_is_said(limits: str, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run("--limits", limits, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_wrong_line_of_the_calls_is_named(limits: str, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(line(0, "ada", 1.0) + line(1, "", 1.0))
    result = run("--limits", limits, "--from", str(file))
    assert result.exit_code == 1
    assert f"{file}, line 2: actor is ''; allowed: a name" in result.stderr


def test_a_wrong_limit_is_named(tmp_path: Path, calls: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("limits:\n  - name: a\n    unit: concurrent\n    amount: none\n")
    result = run("--limits", str(file), "--from", calls)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 4" in result.stderr
    assert "amount" in result.stderr


def test_a_limit_on_addresses_is_left_out_and_that_is_said(tmp_path: Path, calls: str) -> None:
    file = tmp_path / "addresses.yaml"
    file.write_text(
        "limits:\n  - name: flood\n    unit: requests\n    amount: 1\n    window: 1d\n    subject: address\n"
        + RULES[8:]
    )
    result = run("--limits", str(file), "--from", calls, "--output", "json")
    assert "aibridge: flood is left out: it counts addresses, which are not recorded" in result.stderr
    assert [rule["rule"]["name"] for rule in json.loads(result.stdout)["rules"]] == ["cap", "rate"]


@pytest.mark.parametrize(
    ("organizations", "warning"),
    [
        (("", ""), "none is recorded for any call: it sees a single one\n"),
        (("labs", "labs"), "all calls are of labs: it sees a single one\n"),
        (("labs", ""), None),
        (("labs", "sales"), None),
    ],
)
def test_a_limit_by_organization_where_all_calls_are_of_one_is_said(
    tmp_path: Path, organizations: tuple[str, str], warning: str | None
) -> None:
    file, calls = tmp_path / "organizations.yaml", tmp_path / "calls.jsonl"
    file.write_text(RULES + "  - {name: team, unit: requests, amount: 1, window: 1d, subject: organization}\n")
    rows = [json.loads(line(0, "ada", 1.0)) | {"organization": organization} for organization in organizations]
    calls.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("--limits", str(file), "--from", str(calls), "--output", "json")
    assert result.stderr == ("" if warning is None else f"aibridge: team counts by organization, but {warning}")
    assert json.loads(result.stdout)["totals"]["refused"] == (0 if warning is None else 1)


def test_help_shows_an_example_of_each_kind(limits: str) -> None:
    text = run("--help").stdout
    for source in ("ledger", "calls.jsonl", "synthetic"):
        assert f"\n    aibridge simulate --limits new.yaml --from {source}" in text
