"""The scorecard: each promise's test tells the number it saw, and the run's summary shows them all."""

from collections.abc import Callable, Iterator

import pytest

Told = Callable[[int, str], None]
_KEY = "scorecard"


@pytest.fixture
def scorecard(record_property: Callable[[str, object], None]) -> Iterator[Told]:
    """Tell what was measured: the row of the scorecard, and a line with the number and its target."""

    def tell(row: int, line: str) -> None:
        record_property(_KEY, f"{row:>3}  {line}")

    yield tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows that this run has measured, in their order."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = {str(value) for report in reports for key, value in report.user_properties if key == _KEY}
    if rows:
        terminalreporter.section("scorecard")
        for row in sorted(rows):
            terminalreporter.write_line(row)
