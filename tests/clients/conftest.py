"""The SDKs and the gateways that a whole run shares: to start one takes longer than most tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from clients.running import Running, running_server
from clients.sdks import Sdks, started


@pytest.fixture(scope="session")
def sdks_of() -> Iterator[Callable[[int], Sdks]]:
    """The SDKs of a major, started when first asked for."""
    with ExitStack() as processes:
        yield cache(lambda major: processes.enter_context(started(major)))


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
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that serves one call at a time."""
    with running_server(tmp_path_factory.mktemp("narrow"), "--aibridge-max-concurrency", "1") as server:
        yield server
