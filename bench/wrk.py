"""Runs wrk and reads what it says."""

import subprocess
from pathlib import Path

import msgspec

from bench import MeasurementError
from bench.conversation import PATH, QUESTION, client_headers
from bench.processes import OTHER_CORE, bound

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("wrk.lua")
_GRACE = 30.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls. Those that were under way at the end are not among them, CONNECTIONS at most."""

    requests: int
    """Answers, of whatever status."""
    microseconds: int
    refused: int
    """Answers with a status of 400 or above."""
    broken: int
    """Connections that failed, and answers that took more than wrk's two seconds."""

    @property
    def answered(self) -> int:
        """Answers with success; nothing here answers with a redirection, the only other case."""
        return self.requests - self.refused


def run(address: str, credential: str, seconds: int, directory: Path) -> Report:
    """Call as fast as answers come, over 32 connections. `directory` is for a file.

    Raises:
        MeasurementError: wrk failed, or a connection did.
    """
    body = directory / "question.json"
    body.write_bytes(QUESTION)
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    command += ["--script", str(_SCRIPT)]
    for name, value in client_headers(credential).items():
        command += ["--header", f"{name}: {value}"]
    command += [f"http://{address}{PATH}", "--", str(body)]
    try:
        done = subprocess.run(
            bound(command, OTHER_CORE), capture_output=True, text=True, timeout=seconds + _GRACE, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise MeasurementError(f"wrk failed: {error}; it said: {error.stdout!r} {error.stderr!r}") from error
    report = read(done.stdout)
    if report.broken or not report.requests:
        raise MeasurementError(f"wrk could not talk to {address}:\n{done.stdout}")
    return report


def read(output: str) -> Report:
    """The last line of the output, which is our script's.

    Raises:
        MeasurementError: it is not.
    """
    last = output.rstrip().rpartition("\n")[2]
    try:
        return msgspec.json.decode(last, type=Report)
    except msgspec.DecodeError as error:
        raise MeasurementError(f"cannot read what wrk said: {last!r}") from error
