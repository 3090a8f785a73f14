"""Which program calls, and which of its conversations."""

import pytest

from aibridge.domain.client import BY_USER_AGENT, LONGEST_SESSION_ID, SESSION_HEADERS, UNKNOWN, client_of, session_of

AGENTS = (
    ("claude-cli/2.0.1 (external, cli)", "Claude Code"),
    ("Claude-Code/1", "Claude Code"),
    ("codex_cli_rs/0.50", "Codex"),
    ("Codex Desktop/1", "Codex"),
    ("mux/0.1", "Mux"),
    ("Zed/1.0", "Zed"),
    ("GitHubCopilotChat/0.3", "GitHub Copilot (VS Code)"),
    ("copilot/1.0", "GitHub Copilot (CLI)"),
    ("Kilo-Code/4", "Kilo Code"),
    ("Roo-Code/3", "Roo Code"),
    ("coder-agents/1", "Coder Agents"),
    ("Charm Crush/0.1", "Charm Crush"),
    ("opencode/1", "OpenCode"),
    ("OpenAI/Python 1.2", UNKNOWN),
    ("my claude", UNKNOWN),
    ("", UNKNOWN),
)


@pytest.mark.parametrize(("agent", "name"), AGENTS)
def test_a_client_is_told_by_the_beginning_of_its_user_agent(agent: str, name: str) -> None:
    assert client_of(agent, {}) == name


def test_every_client_of_the_table_is_tested() -> None:
    assert {name for _, name in BY_USER_AGENT} <= {name for _, name in AGENTS}


def test_two_clients_are_told_by_headers_of_their_own() -> None:
    assert client_of("x", {b"originator": b"kilo-code"}) == "Kilo Code"
    assert client_of("x", {b"originator": b"codex"}) == UNKNOWN
    assert client_of("x", {b"x-cursor-client-version": b""}) == "Cursor"
    assert client_of("claude", {b"x-cursor-client-version": b"1"}) == "Claude Code"


@pytest.mark.parametrize(("client", "names"), SESSION_HEADERS.items())
def test_a_session_is_read_from_the_clients_own_header(client: str, names: tuple[bytes, ...]) -> None:
    for name in names:
        assert session_of(client, {name: b"s-1"}, "hint") == "s-1"
        assert session_of(client, {name: b""}, "hint") == "hint"
        assert session_of(UNKNOWN, {name: b"s-1"}, None) is None
    assert session_of(client, {names[0]: b"first", names[-1]: b"last"}, None) == (
        "last" if len(names) == 1 else "first"
    )


def test_without_a_header_the_bodys_hint_counts() -> None:
    assert session_of("Claude Code", {}, "hint") == "hint"
    assert session_of(UNKNOWN, {}, "hint") == "hint"
    assert session_of("Codex", {}, "") is None


def test_a_session_id_is_cut_and_any_bytes_are_text() -> None:
    assert session_of("Codex", {b"session_id": b"\xff" * 1000}, None) == "\xff" * LONGEST_SESSION_ID
    assert session_of("Codex", {}, "h" * 1000) == "h" * LONGEST_SESSION_ID
