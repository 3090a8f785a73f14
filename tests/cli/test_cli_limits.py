"""`aibridge limits` over the API."""

import msgspec
import pytest
from api_standin import Standin
from api_things import LAB, limit, organization
from cli_shell import Shell

from aibridge.contract.aibridge import LimitsView
from aibridge.domain.rule import Mode, Subject, Unit

pytest_plugins = ["cli_fixtures"]


def test_limits_are_listed_in_words(shell: Shell, server: Standin) -> None:
    slots = limit("slots", Unit.CONCURRENT, None)
    server.answers["limits"] = LimitsView(count=2, results=[limit(), slots])

    start = ["shadow", "user"]
    assert shell.cells("limits", "list") == [
        ["budget", *start, "ci-*", "*", "claude-*", "$12.50 in 60 s", "$2.25 by ada", "database"],
        ["slots", *start, "-", "*", "claude-*", "8 concurrent", "3 concurrent by ada", "database"],
    ]
    assert shell.json("limits", "list")[0]["amount"] == 12_500_000_000


def test_a_limit_is_shown(shell: Shell, server: Standin) -> None:
    server.answers["limit"] = limit()

    cells = shell.cells("limits", "show", "budget")

    assert ["allowed", "$12.50 in 60 s"] in cells
    assert ["decisions", '{"admitted":7}'] in cells


def test_all_that_was_said_of_a_limit_is_shown(shell: Shell, server: Standin) -> None:
    said = {"organization_id": LAB, "burst": 1_500_000_000, "queue_timeout": 5.0, "queue_size": 16}
    server.answers["limit"] = msgspec.structs.replace(limit(), **said)

    cells = shell.cells("limits", "show", "budget")

    assert ["organization_id", str(LAB)] in cells
    assert ["burst", "$1.50"] in cells
    assert ["queue", "16 for 5 s"] in cells


def test_a_limit_is_made(shell: Shell, server: Standin) -> None:
    server.answers |= {"create_limit": limit(), "organization": organization()}

    shell.done(
        *("limits", "create", "budget", "--unit", "cost", "--amount", "$12.50", "--burst", "1.000000001"),
        *("--window", "30d", "--subject", "user", "--only", "ci-*", "--only", "bot", "--model", "claude-*"),
        *("--provider", "anthropic", "--mode", "shadow", "--organization", "lab"),
    )

    body = server.asked("create_limit").body
    assert (body.name, body.unit, body.amount, body.burst) == ("budget", Unit.COST, 12_500_000_000, 1_000_000_001)
    assert (body.window, body.subject, body.only) == (30 * 86_400.0, Subject.USER, ("ci-*", "bot"))
    assert (body.model, body.provider, body.mode, body.organization_id) == ("claude-*", "anthropic", Mode.SHADOW, LAB)


def test_a_limit_with_a_queue_is_made(shell: Shell, server: Standin) -> None:
    server.answers["create_limit"] = limit("slots", Unit.CONCURRENT)

    shell.done(
        *("limits", "create", "slots", "--unit", "concurrent", "--amount", "1_000"),
        *("--queue-timeout", "5s", "--queue-size", "16"),
    )

    body = server.asked("create_limit").body
    assert (body.amount, body.window, body.mode) == (1000, 0.0, Mode.ENFORCE)
    assert (body.queue_timeout, body.queue_size, body.organization_id) == (5.0, 16, None)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--amount", "1"), "Missing option '--unit'"),
        (("--unit", "cost"), "Missing option '--amount'"),
        (("--unit", "requests", "--amount", "1.5"), "--amount: '1.5' is not allowed; allowed for requests: a whole"),
        (("--unit", "cost", "--amount", "many"), "allowed for cost: dollars such as 12.50"),
        (("--unit", "cost", "--amount", "1", "--burst", "-1"), "--burst: '-1' is not allowed"),
        (("--unit", "requests", "--amount", "1", "--window", "1ms"), "at least 100ms and at most 366d"),
        (("--unit", "wishes", "--amount", "1"), "'--unit'"),
    ],
)
def test_what_is_no_limit_is_not_sent(shell: Shell, server: Standin, flags: tuple[str, ...], reason: str) -> None:
    code, said = shell.fails("limits", "create", "x", *flags)

    assert code == 2
    assert reason in " ".join(said.split())
    assert server.calls == []


def test_what_is_not_named_stays_as_it_is(shell: Shell, server: Standin) -> None:
    server.answers |= {"limit": limit(), "update_limit": limit()}

    shell.done("limits", "edit", "budget", "--mode", "enforce")

    call = server.asked("update_limit")
    assert call.path == {"limit": "budget"}
    assert (call.body.mode, call.body.amount, call.body.window) == (Mode.ENFORCE, 12_500_000_000, 60.0)
    assert (call.body.only, call.body.model, call.body.subject) == (("ci-*",), "claude-*", Subject.USER)


def test_an_amount_is_in_the_unit_that_the_limit_has_or_gets(shell: Shell, server: Standin) -> None:
    server.answers |= {"limit": limit(), "update_limit": limit()}

    shell.done("limits", "edit", "budget", "--amount", "20", "--burst", "none")
    shell.done("limits", "edit", "budget", "--unit", "requests", "--amount", "20")

    first, second = (call.body for call in server.calls if call.operation == "update_limit")
    assert (first.unit, first.amount, first.burst) == (Unit.COST, 20_000_000_000, None)
    assert (second.unit, second.amount) == (Unit.REQUESTS, 20)
    assert "give --amount, too" in shell.fails("limits", "edit", "budget", "--unit", "requests")[1]


def test_a_limit_of_which_one_sees_only_a_part_is_not_overwritten(shell: Shell, server: Standin) -> None:
    server.answers["limit"] = limit(only=None)

    code, said = shell.fails("limits", "edit", "budget", "--mode", "enforce")

    assert code == 1
    assert "you may not see whom 'budget' is for" in said


def test_deleting_asks_first(shell: Shell, server: Standin) -> None:
    server.answers |= {"limit": limit(), "delete_limit": None}

    refused = shell.run("limits", "delete", "budget", typed="n\n")
    assert "'budget', which allows $12.50 in 60 s?" in refused.stderr
    assert [call.operation for call in server.calls] == ["limit"]
    assert shell.done("limits", "delete", "budget", "--yes") == "budget is deleted.\n"
