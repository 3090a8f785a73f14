import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import MeasurementError, machine
from bench.processes import awaited, awaited_of, cpu_seconds, resident_bytes, started, tree

CORE = min(os.sched_getaffinity(0))
BURN = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass\n"
FAMILY = f"""
import subprocess, sys, threading
def burn():
{"".join("    " + line for line in BURN.format(0.2).splitlines(keepends=True))}
thread = threading.Thread(target=burn); thread.start(); thread.join()
subprocess.run([sys.executable, "-c", {BURN.format(0.2)!r}])
child = subprocess.Popen([sys.executable, "-c", {(BURN.format(0.2) + "print('done', flush=True); input()")!r}])
child.wait()
"""

pytestmark = pytest.mark.skipif(
    machine.program("setpriv") is None or machine.program("taskset") is None, reason="needs util-linux"
)


def test_cpu_time_counts_threads_children_and_those_that_have_ended(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=reading, stdout=subprocess.PIPE) as family:
        os.close(reading)
        assert family.stdout is not None
        assert family.stdout.readline() == b"done\n"
        assert len(tree(family.pid)) == 2
        spent = cpu_seconds(family.pid)
        assert 0.59 < spent < 2.0  # three burns, and three starts of an interpreter
        assert resident_bytes(family.pid) > resident_bytes(tree(family.pid)[1]) > 1_000_000
        os.close(writing)


def test_cpu_time_is_that_of_the_process_table() -> None:
    program = f"{BURN.format(0.3)}import os; print(sum(os.times()[:4]), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as alone:
        assert alone.stdout is not None
        spent = float(alone.stdout.readline())
        assert cpu_seconds(alone.pid) == pytest.approx(spent, abs=0.1)
        alone.communicate(b"\n")


def test_a_started_program_is_pinned_logged_and_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os, time; print(os.sched_getaffinity(0), sorted(os.environ), flush=True); time.sleep(60)"
    with started([sys.executable, "-c", program], log, core=CORE) as running:
        said = awaited_of(running, lambda: running.said() or None, "a line")
        assert said.startswith(f"{{{CORE}}}")
        assert "PYTEST_CURRENT_TEST" not in said
        assert running.runs()
    assert not running.runs()
    assert not Path(f"/proc/{running.pid}").exists()


def test_a_program_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('address in use')"]
    with (
        started(command, tmp_path / "log", core=CORE) as running,
        pytest.raises(MeasurementError, match="no sign of its voice: the program has ended; it said: address in use"),
    ):
        awaited_of(running, lambda: None, "its voice")


def test_a_started_program_dies_with_who_started_it(tmp_path: Path) -> None:
    parent = f"""
import os, sys
from pathlib import Path
from bench.processes import started
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
with started(sleep, Path({str(tmp_path / "log")!r}), core={CORE}) as running:
    print(running.pid, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=machine.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        itself = f"{sys.executable}\0-c\0import time; time.sleep(60)\0".encode()
        awaited(lambda: Path(f"/proc/{pid}/cmdline").read_bytes() == itself or None, "the program itself")
        process.kill()
    awaited(lambda: _gone(pid) or None, "the program's end", within=5)


def test_waiting_has_an_end() -> None:
    with pytest.raises(MeasurementError, match="waited 0 s in vain for nothing"):
        awaited(lambda: None, "nothing", within=0)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
