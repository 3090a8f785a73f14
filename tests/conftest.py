"""Which tests run: those of `e2e` need large downloads, and are asked for."""

from pathlib import Path

import pytest

_E2E = Path(__file__).with_name("e2e")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-e2e", action="store_true", help="run Claude Code and Codex, too (make e2e installs them)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--run-e2e"):
        for item in items:
            if _E2E in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="make e2e runs this"))
