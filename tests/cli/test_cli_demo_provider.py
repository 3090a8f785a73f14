"""`aibridge demo-provider`: its flags are the demo provider's keys, and it serves."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aibridge import demo
from aibridge.cli import cli


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """The URL of a demo provider that the installed command runs on a free port."""
    command = [str(Path(sys.executable).with_name("aibridge")), "demo-provider", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


def ask(url: str) -> Any:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_it_answers_as_the_flags_ask() -> None:
    with serving("--tokens", "7", "--burst") as url:
        assert ask(url)["usage"]["completion_tokens"] == 7


def test_help_shows_every_key_with_what_it_allows() -> None:
    result = CliRunner().invoke(cli, ["demo-provider", "--help"])
    words = " ".join(result.stdout.split())

    assert result.exit_code == 0
    for key in demo.describe():
        assert f"--{key.name.replace('_', '-')} " in words
        assert key.meaning in words.replace("- ", "-")
    assert "[default: 127.0.0.1]" in words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--status", "204"), "204"),
        (("--latency", "soon"), "latency: 'soon' is not a number from 0"),
        (("--fault", "boredom"), "fault: 'boredom' is not one of "),
        (("--port", "70000"), "70000"),
    ],
)
def test_what_no_key_allows_is_refused(arguments: tuple[str, ...], complaint: str) -> None:
    result = CliRunner().invoke(cli, ["demo-provider", *arguments])

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_a_taken_address_is_a_failure_and_not_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(cli, ["demo-provider", "--port", str(port)])

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}: " in result.stderr
