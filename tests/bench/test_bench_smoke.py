import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import machine
from bench.__main__ import QUICK

needs_everything = pytest.mark.skipif(bool(machine.missing()), reason="; ".join(machine.missing()))


def bench(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=machine.ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)


@needs_everything
def test_streams_run_through_all_three_and_are_in_the_ledger(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    done = bench("--quick", "--rounds", "1", "--only", "stream", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "| CPU per streamed event, µs |" in done.stdout
    found = msgspec.json.decode(file.read_bytes())
    assert set(found["figures"][0]["values"]) == {"gateway", "nginx", "envoy"}
    assert found["ledger"]["with_usage"] == 1 + QUICK.load.all_streams  # one call proves that it answers at all


@needs_everything
def test_refusals_are_measured() -> None:
    done = bench("--quick", "--rounds", "1", "--only", "refusal")
    assert done.returncode == 0, done.stderr
    assert "| CPU per refused call (429), µs |" in done.stdout


def test_what_is_missing_is_said_with_exit_code_2() -> None:
    done = bench("--only", "start", env={"PATH": ""})
    assert done.returncode == 2
    assert "apt-get install" in done.stderr
    assert "util-linux wrk" in done.stderr
