"""`aibridge server` as far as the command line goes: help, options, exit codes."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from aibridge import __version__
from aibridge.cli import cli, main
from aibridge.options import OPTIONS, Settings

BARE: dict[str, str | None] = {
    name: None for name in os.environ if name.startswith(("CODER_", "OPENAI_", "ANTHROPIC_"))
}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that the server was started with. It ends at once, with exit code 7."""
    settings: list[Settings] = []

    def run(given: Settings) -> int:
        settings.append(given)
        return 7

    server = types.ModuleType("aibridge.server")
    server.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aibridge.server", server)
    return settings


def invoke(*arguments: str, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["server", *arguments], env={**BARE, **environ})
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_option_with_its_variable_and_default() -> None:
    code, text, _ = invoke("--help")
    words = " ".join(text.split())

    assert code == 0
    for option in OPTIONS:
        assert words.count(f"{option.flag} ") + words.count(f"{option.flag}[") == 1 + words.count(
            f"flag {option.flag} "
        )
        assert option.environment[0] in words
        assert f"default: {option.default or option.unset}]" in words
        assert f"{option.group}:" in text
        if option.secret:
            assert f"{option.flag}-file FILE" in words
            assert f"{option.environment[0]}_FILE" in words
        assert option.fallback is None or option.fallback in words


def test_help_fits_the_screen() -> None:
    _, text, _ = invoke("--help")

    assert max(map(len, text.splitlines())) <= 80


def test_neither_help_nor_completion_offers_the_second_spelling() -> None:
    _, text, _ = invoke("--help")
    offered = ShellComplete(cli, {}, "aibridge", "_AIBRIDGE_COMPLETE").get_completions(["server"], "--a")

    assert "--ai-gateway-rate-limit" not in text
    assert {"--aibridge-rate-limit", "--aibridge-openai-key-file"} <= {item.value for item in offered}
    assert not [item.value for item in offered if item.value.startswith("--ai-gateway-")]


@pytest.mark.parametrize(
    ("arguments", "enabled"),
    [
        ((), True),
        (("--aibridge-enabled=false",), False),
        (("--aibridge-enabled", "no"), False),
        (("--aibridge-enabled",), True),
        (("--ai-gateway-enabled=0",), False),
    ],
)
def test_a_truth_may_stand_alone_or_have_a_value(
    served: list[Settings], arguments: tuple[str, ...], *, enabled: bool
) -> None:
    invoke(*arguments)

    assert served[0].enabled is enabled


def test_the_server_gets_the_settings_and_gives_the_exit_code(served: list[Settings], tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("aibridge: {idle_timeout: 7s, rate_limit: 3}")

    code, _, _ = invoke(
        "--ai-gateway-max-concurrency",
        "5",
        "--aibridge-structured-logging",
        "--config",
        str(tmp_path / "c.yaml"),
        CODER_AI_GATEWAY_RATE_LIMIT="2",
    )

    assert code == 7
    (settings,) = served
    assert (settings.max_concurrency, settings.rate_limit, settings.idle_timeout) == (5, 2, 7.0)
    assert settings.structured_logging is True
    assert settings.sources["max_concurrency"] == "flag --ai-gateway-max-concurrency"


def test_a_negative_number_reaches_the_option_it_was_meant_for(served: list[Settings]) -> None:
    code, _, stderr = invoke("--aibridge-rate-limit", "-1")

    assert (code, served) == (2, [])
    assert '--aibridge-rate-limit: "-1" from flag --aibridge-rate-limit is not allowed' in stderr


def test_unknown_variables_are_warned_about_and_do_not_stop_the_server(served: list[Settings]) -> None:
    code, _, stderr = invoke(CODER_AIBRIDGE_RATE_LIMITS="1")

    assert code == 7
    assert stderr == (
        "aibridge: environment CODER_AIBRIDGE_RATE_LIMITS: unknown option, ignored; "
        "did you mean CODER_AIBRIDGE_RATE_LIMIT?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (
            ["server", "--aibridge-rate-limit=many"],
            2,
            'aibridge: --aibridge-rate-limit: "many" from flag --aibridge-rate-limit is not allowed; allowed: a whole ',
        ),
        (["server", "--aibridge-openai-kez=sk-do-not-show"], 2, "aibridge: No such option '--aibridge-openai-kez'."),
        (["server", "--http-address"], 2, "aibridge: Option '--http-address' requires an argument."),
        (["server", "surprise"], 2, "aibridge: Got unexpected extra argument (surprise)"),
        (["server", "two\nlines"], 2, "aibridge: Got unexpected extra argument (two lines)"),
        (["sever"], 2, "aibridge: No such command 'sever'."),
    ],
)
def test_a_wrong_command_line_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, line: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["aibridge", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert "sk-do-not-show" not in err


def test_without_arguments_the_commands_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["aibridge"])

    with pytest.raises(SystemExit) as ended:
        main()

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("Usage: aibridge [OPTIONS] COMMAND")
    for line in ("server ", "demo-provider ", "tokens ", "interceptions "):
        assert line in err


def aibridge(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("aibridge")), *arguments]
    env = {name: value for name, value in os.environ.items() if name not in BARE} | environ
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_the_installed_command_says_its_version() -> None:
    done = aibridge("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"aibridge {__version__}\n", "")


def test_the_installed_command_refuses_a_wrong_option_without_a_traceback() -> None:
    done = aibridge("server", CODER_AIBRIDGE_MAX_CONCURRENCY="-1", OPENAI_API_KEY="sk-do-not-show")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        'aibridge: --aibridge-max-concurrency: "-1" from environment CODER_AIBRIDGE_MAX_CONCURRENCY '
        "is not allowed; allowed: a whole number, at least 0\n"
    )


def test_help_of_the_server_does_not_wait_for_the_database_or_the_event_loop() -> None:
    program = (
        "import sys; from aibridge.cli import cli; cli(['server', '--help'], standalone_mode=False);"
        "print(*sorted({'sqlalchemy', 'uvloop', 'starlette', 'aibridge.server'} & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert done.stderr == "\n"
