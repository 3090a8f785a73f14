"""Programs that are measured: started on a core, watched through /proc, and gone when we are."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import MeasurementError

MEASURED_CORE = 0
OTHER_CORE = 1
"""Where clients, the upstream and this program run."""

_CPUCLOCK_SCHED = 2
_TICKS = os.sysconf("SC_CLK_TCK")
_RESTING_SHARE = 0.02
_LOOK_EVERY = 0.25
_REST_WITHIN = 60.0
_STOP_WITHIN = 15.0

_T = TypeVar("_T")


def bound(command: Sequence[str], core: int) -> list[str]:
    """The command, pinned to a core, and killed by the kernel when the thread that starts it dies."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *command]


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was started; all it prints goes to `log`."""

    pid: int
    log: Path

    def runs(self) -> bool:
        """Whether it has not ended."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] != "Z"

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")


@contextlib.contextmanager
def started(command: Sequence[str], log: Path, *, core: int, cwd: Path | None = None) -> Iterator[Program]:
    """Run a program for as long as the block lasts.

    It sees nothing of our environment but PATH: neither a key nor an option of the gateway may come from there.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            bound(command, core),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(log.parent)},
            cwd=cwd,
        )
        try:
            yield Program(pid=process.pid, log=log)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def awaited(look: Callable[[], _T | None], what: str, *, within: float = 20.0, every: float = 0.01) -> _T:
    """Look again and again until there is something.

    Raises:
        MeasurementError: there was nothing within so many seconds.
    """
    deadline = time.monotonic() + within
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise MeasurementError(f"waited {within:g} s in vain for {what}")
        time.sleep(every)
    return found


def awaited_of(program: "Program", look: Callable[[], _T | None], what: str, *, every: float = 0.01) -> _T:
    """Look again and again until there is something that a program brings about.

    Raises:
        MeasurementError: it has ended, or took too long; the message has what it printed.
    """

    def look_while_it_runs() -> _T | None:
        if not program.runs():
            raise MeasurementError(f"no sign of {what}: the program has ended")
        return look()

    try:
        return awaited(look_while_it_runs, what, every=every)
    except MeasurementError as error:
        raise MeasurementError(f"{error}; it said: {program.said().strip()}") from error


def tree(pid: int) -> list[int]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows as we go
        found += children.get(member, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time used so far by a process, all its threads and all its descendants; in user mode and in the kernel.

    It is utime + stime of proc_pid_stat(5), but read from the clock behind them (clock_getcpuclockid(3)), which counts
    nanoseconds where they count hundredths of a second. Children that have ended count too, in hundredths.
    """
    return sum(_own_cpu_seconds(member) + _ended_children_seconds(member) for member in tree(pid))


def cpu_at_rest(pid: int) -> float:
    """CPU time used once the process has come to rest.

    A call is not paid for when it is answered: records are put into the database some time after. That belongs to it.

    Raises:
        MeasurementError: it does not come to rest.
    """
    last = cpu_seconds(pid)

    def resting() -> float | None:
        nonlocal last
        before, last = last, cpu_seconds(pid)
        return last if last - before < _RESTING_SHARE * _LOOK_EVERY else None

    time.sleep(_LOOK_EVERY)
    return awaited(resting, f"process {pid} to come to rest", within=_REST_WITHIN, every=_LOOK_EVERY)


def resident_bytes(pid: int) -> int:
    """Memory that a process and its descendants hold: VmRSS of proc_pid_status(5), so shared pages count in each."""
    return sum(_resident_bytes(member) for member in tree(pid))


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def _own_cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError:  # it has ended since we saw it; its parent has it now
        return 0.0


def _ended_children_seconds(pid: int) -> float:
    fields = _stat(pid)
    return 0.0 if fields is None else (int(fields[13]) + int(fields[14])) / _TICKS


def _stat(pid: int) -> list[str] | None:
    """The fields of proc_pid_stat(5) that follow the name, from the state on; None when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
