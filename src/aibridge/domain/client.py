"""Which program calls, and which of its conversations: told from the headers it sends of its own accord."""

from collections.abc import Mapping
from functools import lru_cache

UNKNOWN = "Unknown"

BY_USER_AGENT: tuple[tuple[str, str], ...] = (
    ("mux/", "Mux"),
    ("claude", "Claude Code"),
    ("codex", "Codex"),
    ("zed/", "Zed"),
    ("githubcopilotchat/", "GitHub Copilot (VS Code)"),
    ("copilot/", "GitHub Copilot (CLI)"),
    ("kilo-code/", "Kilo Code"),
    ("roo-code", "Roo Code"),
    ("coder-agents/", "Coder Agents"),
    ("charm crush/", "Charm Crush"),
    ("opencode/", "OpenCode"),
)
"""Beginnings of a User-Agent in lower case; the first that fits."""

SESSION_HEADERS: Mapping[str, tuple[bytes, ...]] = {
    "Claude Code": (b"x-claude-code-session-id",),
    "Codex": (b"session_id", b"session-id"),
    "Mux": (b"x-mux-workspace-id",),
    "GitHub Copilot (VS Code)": (b"x-interaction-id",),
    "GitHub Copilot (CLI)": (b"x-client-session-id",),
    "Kilo Code": (b"x-kilocode-taskid",),
    "Coder Agents": (b"x-coder-chat-id",),
    "OpenCode": (b"x-session-id",),
}
"""Where each client names its conversation; the first header that is there."""

LONGEST_SESSION_ID = 256
"""Characters. A longer one is cut: it is the client's word, and it is stored."""


def client_of(user_agent: str, headers: Mapping[bytes, bytes]) -> str:
    """The client's name, or `Unknown`."""
    name = _named_by(user_agent)
    if name is not None:
        return name
    if headers.get(b"originator") == b"kilo-code":
        return "Kilo Code"
    if b"x-cursor-client-version" in headers:
        return "Cursor"
    return UNKNOWN


@lru_cache(maxsize=1024)
def _named_by(user_agent: str) -> str | None:
    agent = user_agent.lower()
    return next((name for beginning, name in BY_USER_AGENT if agent.startswith(beginning)), None)


def session_of(client: str, headers: Mapping[bytes, bytes], hint: str | None) -> str | None:
    """The client's own id of its conversation, or None; `hint` is what the body says, the header comes first."""
    for name in SESSION_HEADERS.get(client, ()):
        value = headers.get(name)
        if value:
            return value.decode("latin-1")[:LONGEST_SESSION_ID]
    return hint[:LONGEST_SESSION_ID] if hint else None
