"""Both flavours of the client, each asked the same."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aibridge.sdk import AsyncClient, Client
from sdk.sdk_server import Ask, Server, Slept, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(params=["threads", "asyncio"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(flavour: str, server: Server) -> Ask:
    """Ask the server; settings are those of the client."""

    def in_a_thread(use: Callable[[Client], Any], *, url: str = "", **settings: Any) -> Any:
        with Client(url or server.url, **settings) as client:
            return use(client)

    def in_a_loop(use: Callable[[AsyncClient], Any], *, url: str = "", **settings: Any) -> Any:
        async def main() -> Any:
            async with AsyncClient(url or server.url, **settings) as client:
                found = use(client)
                return await found if inspect.isawaitable(found) else found

        return asyncio.run(main())

    return in_a_thread if flavour == "threads" else in_a_loop


@pytest.fixture
def slept(flavour: str) -> Slept:
    return Slept(flavour)
