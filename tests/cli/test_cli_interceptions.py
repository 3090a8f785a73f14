"""`aibridge interceptions list` over the API."""

from datetime import UTC, datetime, timedelta

import pytest
from api_standin import Refusal, Standin
from api_things import call
from cli_shell import Shell

from aibridge.contract.aibridge import InterceptionsView
from aibridge.contract.errors import ErrorBody

pytest_plugins = ["cli_fixtures"]


def test_calls_are_listed_with_what_they_used(shell: Shell, server: Standin) -> None:
    server.answers["interceptions"] = InterceptionsView(count=2, results=[call(1, ended=False), call(0)])

    running, ended = shell.cells("interceptions", "list")

    start = "2026-11-24 09:00:00Z"
    assert running == [start, "-", "openai", "model-1", "Claude Code", "running", "-", "-", "-", "call-1"]
    assert ended == [start, "ada", "openai", "model-0", "Claude Code", "completed", "200", "22", "44", "call-0"]
    assert shell.json("interceptions", "list")[1]["initiator"] == {"id": "id-of-ada", "username": "ada"}


def test_conditions_are_the_servers_to_check(shell: Shell, server: Standin) -> None:
    server.answers["interceptions"] = InterceptionsView(count=0, results=[])

    shell.done(
        *("interceptions", "list", "--initiator", "me", "--provider", "openai", "--model", "m", "--client", "Codex"),
        *("--since", "2026-11-24", "--until", "2026-11-24T09:00:00+01:00", "--limit", "5", "--after-id", "call-7"),
    )

    query = server.asked("interceptions").query
    assert (query.initiator, query.provider, query.model, query.client) == ("me", "openai", "m", "Codex")
    assert query.started_after == datetime(2026, 11, 24, tzinfo=UTC)
    assert query.started_before == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert (query.limit, query.after_id) == (6, "call-7")


def test_an_instant_may_be_a_time_ago(shell: Shell, server: Standin) -> None:
    server.answers["interceptions"] = InterceptionsView(count=0, results=[])

    shell.done("interceptions", "list", "--since", "7d")

    ago = datetime.now(UTC) - server.asked("interceptions").query.started_after
    assert timedelta(days=7) <= ago < timedelta(days=7, minutes=2)
    assert "allowed: an instant such as" in shell.fails("interceptions", "list", "--since", "yesterday")[1]


def test_a_page_says_how_to_get_the_next_one(shell: Shell, server: Standin) -> None:
    server.answers["interceptions"] = InterceptionsView(count=3, results=[call(2), call(1)])

    assert shell.run("interceptions", "list", "--limit", "1").stderr == (
        "3 match in all; the next page: --after-id call-2\n"
    )


@pytest.mark.parametrize("output", ["table", "json"])
def test_an_unknown_place_to_continue_is_an_error(shell: Shell, server: Standin, output: str) -> None:
    server.answers["interceptions"] = Refusal(400, ErrorBody(message="There is no interception 'call-9'."))

    code, said = shell.fails("interceptions", "list", "--after-id", "call-9", "--output", output)

    assert code == 1
    assert "There is no interception 'call-9'." in said
