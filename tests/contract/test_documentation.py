"""The page at /docs: served whole, from here alone, and shipped with the wheel."""

import asyncio
import re
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hatchling.builders.wheel import WheelBuilder
from server.asking import ask
from server.life import Server, serving

from aibridge import __version__
from aibridge.contract.openapi import document
from aibridge.control import documentation

ROOT = Path(__file__).parents[2]
SWAGGER = files("aibridge.control").joinpath("swagger")
TYPES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/start.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui.css": "text/css; charset=utf-8",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("documentation") / "data") as server:
        yield server


def directives(policy: str) -> dict[str, set[str]]:
    """A Content-Security-Policy by directive (https://www.w3.org/TR/CSP3/#grammardef-serialized-policy)."""
    split = (directive.split() for directive in policy.split(";"))
    return {name: set(sources) for name, *sources in split}


@pytest.mark.parametrize(("path", "media_type"), TYPES.items())
def test_everything_is_served_as_what_it_is(server: Server, path: str, media_type: str) -> None:
    answer = ask(server.url, path)

    assert (answer.status, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body


def test_the_page_may_load_and_ask_this_server_only(server: Server) -> None:
    policy = directives(ask(server.url, "/docs").headers["content-security-policy"])

    assert policy["default-src"] == {"'none'"}
    assert policy["script-src"] == policy["connect-src"] == {"'self'"}
    assert {source for sources in policy.values() for source in sources} == {
        *("'none'", "'self'", "data:", "'unsafe-inline'"),
    }
    assert [name for name, sources in policy.items() if "'unsafe-inline'" in sources] == ["style-src"]
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == {"'none'"}


def test_all_that_the_page_names_is_served_here(server: Server) -> None:
    page, start = ask(server.url, "/docs").text, ask(server.url, "/docs/start.js").text
    named = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r'\burl: "([^"]*)"', start)
    here = [url for url in named if not url.startswith("data:")]

    assert len(here) == 4
    assert all(re.match(r"/[^/]", url) for url in here)
    assert [ask(server.url, url).status for url in here] == [200] * len(here)
    assert "//" not in re.sub(r"^//.*$", "", page + start, flags=re.MULTILINE)
    assert "<script>" not in page


def test_nothing_that_is_loaded_fetches_from_elsewhere() -> None:
    """The bundle knows one address that it would ask by itself, that of a validator; start.js says not to."""
    bundle = SWAGGER.joinpath("swagger-ui-bundle.js").read_text()
    style = SWAGGER.joinpath("swagger-ui.css").read_text()

    asked = set(re.findall(r'[uU]rl:\s*"(https?://[^"]*)"', bundle))
    assert asked == {"https://validator.swagger.io/validator"}
    assert "validatorUrl: null" in SWAGGER.joinpath("start.js").read_text()
    assert {url[:5] for url in re.findall(r"url\([\"']?([^)]*)", style)} == {"data:"}
    assert "@import" not in style


def test_the_document_is_served_to_everybody(server: Server) -> None:
    answer = ask(server.url, "/api/v2/openapi.json")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == msgspec.json.encode(document(__version__))


def test_the_document_is_built_where_nobody_else_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    built_in: list[int] = []
    sent: list[Any] = []

    def openapi() -> bytes:
        built_in.append(threading.get_ident())
        return b"{}"

    async def keep(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        raise AssertionError

    monkeypatch.setattr(documentation, "openapi", openapi)
    scope = {"type": "http", "method": "GET", "path": documentation.ROUTES[0].path, "headers": [], "query_string": b""}
    asyncio.run(documentation.ROUTES[0].handle(scope, nothing, keep))

    assert sent[1]["body"] == b"{}"
    assert built_in
    assert built_in[0] != threading.get_ident()


def test_the_wheel_has_all_of_it() -> None:
    included = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    page = {f"aibridge/control/swagger/{name}" for name, _ in documentation._FILES.values()}
    legal = {f"aibridge/control/swagger/{name}" for name in ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")}

    assert page | legal <= included
