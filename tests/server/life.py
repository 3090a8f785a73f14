"""An `aibridge server` whose whole life a test sees: both outputs, any start on any directory, any end."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.running import AIBRIDGE, PATIENCE, POLLED, Running, eventually

from aibridge.store import interceptions
from aibridge.store.database import Database
from aibridge.store.interceptions import Query, Record
from server.asking import ask


@dataclass(frozen=True, kw_only=True)
class Server(Running):
    """A server that listens, and what it has said since it was started."""

    output: Path
    errors: Path

    def said(self) -> str:
        """What stands on its standard output so far."""
        return self.output.read_text()

    def logged(self) -> str:
        """What stands on its standard error so far."""
        return self.errors.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop, and answer its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def drain(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Tell it to stop, and wait until it says that it does."""
        self.process.send_signal(number)
        eventually(lambda: ask(self.url, "/readyz").status == 503, "a server that is not ready")

    def seconds_to_stop(self) -> float:
        """Tell it to stop, which must end well, and answer how long that took."""
        since = time.monotonic()
        assert self.stop() == 0
        return time.monotonic() - since

    def kill(self) -> None:
        """End it as a power failure would, but for the disk."""
        self.process.kill()
        self.process.wait(PATIENCE)


def environment(data_dir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that inherits nothing of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(data_dir), **(extra or {})}


def aibridge(data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself on a data directory."""
    command = [AIBRIDGE, *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(
        command, env=environment(data_dir, env), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def ledger(data_dir: Path) -> list[dict[str, Any]]:
    """What is in the ledger of a server that has ended, the oldest first."""
    with (
        closing(Database.open(f"sqlite:///{data_dir}/aibridge.db")) as database,
        database.reading() as connection,
    ):
        return [_told(record) for record in interceptions.page(connection, Query(limit=10_000)).records[::-1]]


def _told(record: Record) -> dict[str, Any]:
    """A record in one layer, numbers and words as they are."""
    call, ending = record.interception, record.ending
    usage = ending.usage if ending else None
    return {
        **{name: getattr(call, name) for name in call.__struct_fields__},
        "user": record.username,
        "status": str(ending.status) if ending else "running",
        "ended": ending.ended_at if ending else None,
        **{name: getattr(ending, name, None) for name in ("http_status", "error", "first_byte_at", "response_id")},
        **{name: getattr(usage, name, None) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")},
    }


def command(server: Running, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command against a server, as its owner unless another token is given."""
    env = environment(server.data_dir, {"CODER_URL": server.url, "CODER_SESSION_TOKEN": token or server.token})
    return subprocess.run(
        [AIBRIDGE, *arguments], env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody who asks for any: those are from 32768 on."""
    while True:
        port = random.randrange(16_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def serving(
    data_dir: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    token: str = "",
    address: str = "127.0.0.1:0",
    program: str = "",
) -> Iterator[Server]:
    """Start a server and wait until it listens. What still runs at the end is killed.

    `token` stands in for the owner's where this is not the first start of the directory. `program` is Python that runs
    the command in a world it has changed before.
    """
    output, errors = data_dir.with_suffix(".stdout"), data_dir.with_suffix(".stderr")
    command = [sys.executable, "-c", program] if program else [AIBRIDGE]
    command += ["server", "--data-dir", str(data_dir), "--http-address", address, *arguments]
    with (
        output.open("w") as stdout,
        errors.open("w") as stderr,
        subprocess.Popen(
            command,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=environment(data_dir, {**POLLED, **(env or {})}),
            start_new_session=True,  # a process group of its own, as a terminal or a supervisor makes one
        ) as process,
    ):
        try:
            eventually(
                lambda: "listens on" in output.read_text() or process.poll() is not None, "a server that listens"
            )
            assert process.poll() is None, errors.read_text()
            lines = output.read_text().splitlines()
            url = next(line for line in lines if "listens on" in line).split()[-1]
            printed = next((line.strip() for line in lines if line.strip().startswith("aib_")), token)
            yield Server(url=url, token=printed, process=process, data_dir=data_dir, output=output, errors=errors)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def demo_provider(*arguments: str) -> Iterator[str]:
    """A provider of its own process, which outlives gateways; its URL."""
    command = [AIBRIDGE, "demo-provider", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


def provided_by(url: str) -> tuple[str, ...]:
    """The flags of a server whose providers are at `url`."""
    return "--aibridge-openai-base-url", f"{url}/v1", "--aibridge-anthropic-base-url", url
