"""What a test sees of the workers of a server: their processes, and which of them answers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from clients.running import eventually

from server.life import Server


def command_line(pid: int) -> str:
    """The command line of a process, as everybody on the machine may read it; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def workers_of(server: Server) -> list[int]:
    """The process ids of its workers."""
    return [pid for pid in _children(server.process.pid) if "aibridge.server.worker" in command_line(pid)]


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to one process."""
    os.kill(pid, number)


def replaced(server: Server, pids: list[int], count: int) -> None:
    """Wait until there are so many workers, none of these among them, and all of them serve."""

    def fresh() -> bool:
        now = workers_of(server)
        try:
            return len(now) == count and not {*now} & {*pids} and server.metric("workers") == count
        except OSError:  # it was a dying worker that would have answered
            return False

    eventually(fresh, "another worker that serves")


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, task.read_text().split())
