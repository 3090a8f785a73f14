"""Which tests run, and what they tell at the end.

Those of `e2e` need large downloads, and are asked for. Those of `reliability` each keep a promise with a number in it:
the scorecard at the end of a run shows the numbers that it saw.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aibridge.gateway import relay
from aibridge.store.database import Database

if TYPE_CHECKING:
    from postgres import Postgres

Told = Callable[[int, str], None]
"""Tells what was measured: the row of the scorecard, and a line with the number and its target."""

_E2E = Path(__file__).with_name("e2e")
_SCORECARD = "scorecard"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-e2e", action="store_true", help="run Claude Code and Codex, too (make e2e installs them)")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    compiled = relay.__file__.endswith(".so")
    for item in items:
        if _E2E in item.path.parents and not config.getoption("--run-e2e"):
            item.add_marker(pytest.mark.skip(reason="make e2e runs this"))
        if compiled and item.get_closest_marker("interpreted"):
            item.add_marker(pytest.mark.skip(reason="for interpreted modules alone"))
        if not item.get_closest_marker("xdist_group") and _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares(item: pytest.Item) -> bool:
    """Whether a test shares something with others of its module, which would be made once in each process."""
    fixtures = getattr(item, "_fixtureinfo").name2fixturedefs.values() if isinstance(item, pytest.Function) else ()  # noqa: B009
    return any(made.scope == "module" and made.baseid.endswith(".py") for of_name in fixtures for made in of_name)


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """A PostgreSQL server, one for each process. Who asks for it is best in the xdist group `postgres`, as one."""
    from postgres import running  # noqa: PLC0415 - where there are few tests of it, most runs need none

    server = running()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database as it is at first. Who asks for it, or for `database`, is run with each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'aibridge.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        with server.shared() as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A new database, open."""
    with closing(Database.open(database_url)) as database:
        yield database


@pytest.fixture
def scorecard(record_property: Callable[[str, object], None]) -> Told:
    """Tell what was measured."""
    return lambda row, line: record_property(_SCORECARD, f"{row:>3}  {line}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows that this run has measured, in their order."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = {str(value) for report in reports for key, value in report.user_properties if key == _SCORECARD}
    if rows:
        terminalreporter.section("scorecard")
        for row in sorted(rows):
            terminalreporter.write_line(row)
