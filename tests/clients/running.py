"""An `aibridge server` of its own for a test: the installed command, in a process, with the built-in demo provider."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

from people import token_of

from aibridge.store import users
from aibridge.store.database import Database

AIBRIDGE = str(Path(sys.executable).with_name("aibridge"))
PATIENCE = 10.0
"""Seconds within which everything that must come comes, on a machine that is busy."""
POLLED = {"CODER_API_RATE_LIMIT": "0"}
"""The environment of a server that is asked over and over whether something is so, as `eventually` does."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that listens, the owner's token, and what the server says of itself."""

    url: str
    token: str
    process: subprocess.Popen[str]
    data_dir: Path

    def get(self, path: str, token: str | None = None) -> bytes:
        """The body of an answer of the control plane, to the owner's token unless another one is given.

        Raises:
            HTTPError: it was refused.
        """
        headers = {"Authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            body: bytes = answer.read()
            return body

    def interceptions(self, count: int, **filters: str) -> list[dict[str, Any]]:
        """What the ledger lists, the oldest first, once it lists so many and all of them have ended."""
        query = urlencode(filters)
        found: list[dict[str, Any]] = []

        def listed() -> bool:
            found[:] = json.loads(self.get(f"/api/v2/aibridge/interceptions?{query}"))["results"]
            return len(found) >= count and all(interception["ended_at"] for interception in found)

        eventually(listed, f"{count} interceptions that ended")
        assert len(found) == count
        return found[::-1]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        series = (line.rpartition(" ") for line in self.get("/metrics").decode().splitlines())
        return sum(
            float(value)
            for head, _, value in series
            if head.partition("{")[0] == f"coder_ai_gateway_{name}" and all(label in head for label in wanted)
        )

    def rejections(self, reason: str) -> float:
        """How many calls were refused for this reason."""
        return self.metric("rejections_total", reason=reason)

    def more_tokens(self, count: int) -> list[str]:
        """Further tokens of the owner, which the server knows already. Each has a rate of its own."""
        with closing(Database.open(f"sqlite:///{self.data_dir}/aibridge.db")) as database:
            with database.reading() as connection:
                owner = users.one(connection, "owner")
            minted = [token_of(database, owner, now=time.time_ns() // 1000).text for _ in range(count)]

        def known() -> bool:
            try:
                self.get("/api/v2/aibridge/interceptions", minted[-1])
            except HTTPError:
                return False
            return True

        eventually(known, "a new token that is accepted")
        return minted

    def call(self, model: str = "demo") -> int:
        """Make one call with nothing but the standard library, and answer its status."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)) as connection:
            connection.request("POST", "/openai/v1/chat/completions", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    @contextmanager
    def busy(self, seconds: float) -> Iterator[None]:
        """A call that takes so long; the block begins when it is in flight, and is not left before it has ended."""
        thread = threading.Thread(target=self.call, args=(f"demo?latency={seconds}",))
        thread.start()
        try:
            eventually(lambda: self.metric("calls_inflight") == 1, "a call in flight")
            yield
        finally:
            thread.join(PATIENCE)


def eventually(fact: Callable[[], bool], name: str) -> None:
    """Wait until something in another process is so.

    Raises:
        TimeoutError: it has not become so within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s: {name}")
        time.sleep(0.01)


@contextmanager
def running_server(data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start a server on a free port, with nothing of our own environment; stop it by SIGTERM, which must end well."""
    command = [AIBRIDGE, "server", "--data-dir", str(data_dir), "--http-address", "127.0.0.1:0", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(data_dir), **POLLED, **(env or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url, token = _welcome(process)
            yield Running(url=url, token=token, process=process, data_dir=data_dir)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def _welcome(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The URL and the token that a server prints on its first start."""
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if "listens on" in line:
            url = line.split()[-1]
        elif line.strip().startswith("aib_"):
            return url, line.strip()
    raise RuntimeError(f"the server ended with code {process.wait(PATIENCE)} before it said where it listens")
