"""Claude Code and Codex complete turns through the gateway, and come back by themselves when it refuses them."""

from itertools import pairwise
from pathlib import Path

import pytest
from agents import AGENTS, Agent, Turn
from clients.running import Running, running_server
from clients.tap import Tap, tapped

every_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)


def turn_with_a_tool(agent: Agent, tap: Tap, server: Running, directory: Path) -> Turn:
    """Let an agent run a command that leaves a trace, and check that it did and then answered."""
    directory.mkdir()
    turn = agent.turn(tap.url, server.token, directory, "echo calm > sea.txt")
    assert (directory / "sea.txt").read_text() == "calm\n"
    assert turn.text.startswith("The tool has answered")
    return turn


def check_ledger(agent: Agent, server: Running, turn: Turn) -> None:
    """The ledger knows who called, from which conversation, and counts the tokens that the agent counted."""
    calls = server.interceptions(2, client=agent.name)
    usages = [usage for call in calls for usage in call["token_usages"]]
    for call in calls:
        assert (call["provider"], call["route"], call["streaming"]) == (agent.provider, agent.route, True)
        assert (call["status"], call["http_status"], call["session_id"]) == ("completed", 200, turn.session)
    assert [usage["source"] for usage in usages] == ["provider", "provider"]
    assert sum(usage["input_tokens"] for usage in usages) == turn.input_tokens > 0
    assert sum(usage["output_tokens"] for usage in usages) == turn.output_tokens > 0


def check_waits(tap: Tap) -> None:
    """After each refusal the agent came back, and not before the whole seconds it was told."""
    calls = tap.calls()
    for refused, following in pairwise(calls):
        if refused.status != 200:
            assert following.asked_at - refused.answered_at >= int(refused.headers["retry-after"])


@every_agent
def test_a_turn_with_a_tool_completes(tmp_path: Path, agent: Agent) -> None:
    with running_server(tmp_path / "data") as server, tapped(server.url) as tap:
        turn = turn_with_a_tool(agent, tap, server, tmp_path / "work")
        check_ledger(agent, server, turn)

    assert tap.statuses() == [200, 200]


@every_agent
def test_it_comes_back_by_itself_after_our_429(tmp_path: Path, agent: Agent) -> None:
    with running_server(tmp_path / "data", "--aibridge-rate-limit", "1") as server, tapped(server.url) as tap:
        turn = turn_with_a_tool(agent, tap, server, tmp_path / "work")
        check_ledger(agent, server, turn)
        assert server.rejections("rate_limited") == 1

    assert tap.statuses() == [200, 429, 200]
    check_waits(tap)


@every_agent
def test_it_comes_back_by_itself_after_our_503(tmp_path: Path, agent: Agent) -> None:
    with running_server(tmp_path / "data", "--aibridge-max-concurrency", "1") as server, tapped(server.url) as tap:
        with server.busy(3.0):
            turn = turn_with_a_tool(agent, tap, server, tmp_path / "work")
        check_ledger(agent, server, turn)
        assert server.rejections("at_capacity") == tap.statuses().count(503) > 0

    assert tap.statuses()[-2:] == [200, 200]
    check_waits(tap)


def test_codex_falls_back_from_its_websocket_at_once(tmp_path: Path) -> None:
    (codex,) = (agent for agent in AGENTS if agent.name == "Codex")
    with running_server(tmp_path / "data") as server, tapped(server.url) as tap:
        turn_with_a_tool(codex, tap, server, tmp_path / "work")

    first, second, *_ = tap.exchanges
    assert (first.method, first.status) == ("GET", 426)
    assert (second.method, second.status) == ("POST", 200)
    assert second.asked_at - first.answered_at < 1
