"""`aibridge providers`, and their keys, which are on no command line."""

from pathlib import Path

import pytest
from api_standin import Standin
from api_things import provider
from cli_shell import Shell

from aibridge.contract.aibridge import ProvidersResponse
from aibridge.domain.provider import ProviderKind

pytest_plugins = ["cli_fixtures"]

NEW = ("providers", "create", "vllm", "--kind", "openai", "--base-url", "http://10.0.0.1/v1")


def test_providers_are_listed_and_shown(shell: Shell, server: Standin) -> None:
    server.answers |= {"providers": ProvidersResponse(providers=[provider()], count=1), "provider": provider()}

    url = "https://api.openai.com/v1"
    assert shell.cells("providers", "list") == [["openai", "openai", url, "yes", "no", "wxyz", "database"]]
    assert ["key_hint", "wxyz"] in shell.cells("providers", "show", "openai")
    assert shell.json("providers", "list")[0]["id"] == "id-of-openai"


def test_a_provider_is_made_with_a_key_from_a_file_or_from_stdin(shell: Shell, server: Standin, tmp_path: Path) -> None:
    server.answers["create_provider"] = provider("vllm")
    (tmp_path / "key").write_text("sk-of-the-file\n")

    shell.done(*NEW, "--internal", "--disabled", "--key-file", str(tmp_path / "key"))
    printed = shell.done(*NEW, "--key-file", "-", typed="sk-typed\n")
    shell.done(*NEW)

    first, second, third = (call.body for call in server.calls)
    assert (first.name, first.kind, first.base_url) == ("vllm", ProviderKind.OPENAI, "http://10.0.0.1/v1")
    assert (first.key, first.internal, first.enabled) == ("sk-of-the-file", True, False)
    assert (second.key, second.internal, second.enabled) == ("sk-typed", False, True)
    assert third.key is None
    assert "sk-" not in printed


def test_a_key_is_no_argument(shell: Shell) -> None:
    assert shell.fails(*NEW, "--key", "sk-x")[0] == 2
    assert "--key-file: the first line is empty" in shell.fails(*NEW, "--key-file", "-", typed="\n")[1]


def test_a_provider_is_changed(shell: Shell, server: Standin) -> None:
    server.answers["update_provider"] = provider()

    shell.done("providers", "edit", "openai", "--disabled")
    shell.done("providers", "edit", "openai", "--no-key")
    shell.done("providers", "edit", "openai", "--key-file", "-", "--external", typed="sk-new\n")

    first, second, third = (call.body for call in server.calls)
    assert first.enabled is False
    assert not isinstance(first.key, str | None)
    assert second.key is None
    assert not isinstance(second.enabled, bool)
    assert (third.key, third.internal) == ("sk-new", False)
    assert shell.fails("providers", "edit", "openai", "--no-key", "--key-file", "-", typed="x\n")[0] == 2


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_deleting_asks_first(shell: Shell, server: Standin, typed: str) -> None:
    server.answers |= {"provider": provider(), "delete_provider": None}

    refused = shell.run("providers", "delete", "openai", typed=typed)
    assert refused.exit_code == 1
    assert "'openai' at https://api.openai.com/v1" in refused.stderr
    assert [call.operation for call in server.calls] == ["provider"]

    assert shell.done("providers", "delete", "openai", "--yes") == "openai is deleted.\n"
    assert server.asked("delete_provider").path == {"provider": "id-of-openai"}
