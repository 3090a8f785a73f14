"""The SDKs and the gateways that a whole run shares: to start one takes longer than most tests."""

from collections.abc import Iterator

import pytest

from clients.running import Running, running_server
from clients.sdks import Sdks


@pytest.fixture(scope="session")
def sdks() -> Iterator[Sdks]:
    """The SDKs of all majors."""
    with Sdks() as sdks:
        yield sdks


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway without limits, but for small bodies."""
    with running_server(tmp_path_factory.mktemp("gateway"), "--aibridge-max-body-size", "4KiB") as server:
        yield server


@pytest.fixture(scope="session")
def pacing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that admits one call a second."""
    with running_server(tmp_path_factory.mktemp("pacing"), "--aibridge-rate-limit", "1") as server:
        yield server


@pytest.fixture(scope="session")
def unused_tokens(pacing: Running) -> Iterator[str]:
    """Tokens for `pacing`: more than there are tests that want one."""
    return iter(pacing.more_tokens(40))


@pytest.fixture
def fresh_token(unused_tokens: Iterator[str]) -> str:
    """A token for `pacing` that has not been used yet, so that nobody's calls count but the test's own."""
    return next(unused_tokens)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that serves one call at a time, and has learned from a first one how long they take."""
    with running_server(tmp_path_factory.mktemp("narrow"), "--aibridge-max-concurrency", "1") as server:
        server.call("demo?latency=0.3")
        yield server
