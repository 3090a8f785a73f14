"""The vendors' SDKs, three majors of each, every pair in an environment and a process of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clients.protocols import Outcome

MAJORS = (1, 2, 3)
"""The environments: `requirements/clients-N.txt` holds OpenAI's major N and Anthropic's N - 1."""
PROTOCOLS = ("chat", "responses", "messages")
KINDS = (False, True)
"""Synchronous clients and asynchronous ones."""

_TESTS = Path(__file__).parents[1]


class Sdks:
    """A process with one major of each SDK."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        protocol: str,
        action: str,
        *,
        url: str,
        token: str,
        model: str = "demo",
        asynchronous: bool = False,
        **options: Any,
    ) -> Outcome:
        """Let a new client do something; `options` are the client's own, and none is what most people give."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        job = {
            "protocol": protocol,
            "asynchronous": asynchronous,
            "action": action,
            "url": url,
            "token": token,
            "model": model,
            "options": options,
        }
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        return Outcome(**json.loads(stdout.readline()))


@contextmanager
def started(major: int) -> Iterator[Sdks]:
    """Start the process for a major; it imports an SDK when the first job needs it."""
    environment = _TESTS.parent / ".venvs" / f"clients-{major}"
    python = environment / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python} is missing: make .venvs/{environment.name}/ready")
    command = [str(python), "-m", "clients.drive"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_TESTS, env={}
    ) as process:
        try:
            yield Sdks(process)
        finally:
            process.kill()
