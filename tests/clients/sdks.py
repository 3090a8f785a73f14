"""The vendors' SDKs, three majors of each, every pair in an environment and a process of its own."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from clients.protocols import Outcome

MAJORS = (1, 2, 3)
"""The environments: `requirements/clients-N.txt` holds OpenAI's major N and Anthropic's N - 1."""

_TESTS = Path(__file__).parents[1]
_ENVIRONMENTS = _TESTS.parent / ".venvs"


class Client(NamedTuple):
    """One client of one SDK, used for one protocol."""

    major: int
    protocol: str
    asynchronous: bool = False

    @property
    def name(self) -> str:
        """A name for it alone, in tests and in models."""
        return f"{self.protocol}-{self.major}-{'async' if self.asynchronous else 'sync'}"

    @property
    def vendor(self) -> str:
        """Whose SDK it is, and the provider it asks."""
        return "anthropic" if self.protocol == "messages" else "openai"


def for_each(*protocols: str, asynchronous: tuple[bool, ...] = (False, True)) -> pytest.MarkDecorator:
    """Run a test with the clients of every major. Those of an SDK are kept together: to import it takes seconds."""
    clients = [Client(major, name, kind) for major in MAJORS for name in protocols for kind in asynchronous]
    groups = pytest.mark.xdist_group
    params = [
        pytest.param(client, id=client.name, marks=groups(f"{client.vendor}-{client.major}")) for client in clients
    ]
    return pytest.mark.parametrize("client", params)


class Sdks:
    """All SDKs; a major's process starts with the first job for it."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
        self._stack.close()

    def run(self, client: Client, action: str, *, url: str, token: str, model: str = "demo", **options: Any) -> Outcome:
        """Let a client do something; `options` are the SDK's own, and none are what most people give."""
        process = self._processes.get(client.major) or self._start(client.major)
        job = {**client._asdict(), "action": action, "url": url, "token": token, "model": model, "options": options}
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        return Outcome(**json.loads(process.stdout.readline()))

    def _start(self, major: int) -> subprocess.Popen[str]:
        python = _ENVIRONMENTS / f"clients-{major}" / "bin" / "python"
        if not python.exists():
            raise FileNotFoundError(f"{python} is missing: make .venvs/clients-{major}/ready")
        command = [str(python), "-m", "clients.drive"]
        process = self._stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_TESTS, env={})
        )
        self._processes[major] = process
        return process
