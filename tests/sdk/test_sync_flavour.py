"""The synchronous half of the SDK follows from the other."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aibridge.codemod.tables import TABLES

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def flavour() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sync_flavour", ROOT / "scripts/sync_flavour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("async def f() -> None:\n    await g(await h())\n", "def f() -> None:\n    g(h())\n"),
        ("async with x as y:\n    async for z in y:\n        pass\n", "with x as y:\n    for z in y:\n        pass\n"),
        ("return [z async for z in y]\n", "return [z for z in y]\n"),
        ("class AsyncX(AsyncY[AsyncZ[T]]): ...\n", "class X(Y[Z[T]]): ...\n"),
        ("sleep: Callable[[float], Awaitable[dict[str, T]]]\n", "sleep: Callable[[float], dict[str, T]]\n"),
        ("from aibridge.sdk._async.x import AsyncX\n", "from aibridge.sdk._sync.x import X\n"),
        (
            "def __aenter__(self): x.aclose(); x.aread(); x.aiter_bytes()\n",
            "def __enter__(self): x.close(); x.read(); x.iter_bytes()\n",
        ),
        ("asyncio.sleep\n", "time.sleep\n"),
        ('"""With `AsyncClient`: `await client.users()`."""\n', '"""With `Client`: `client.users()`."""\n'),
        ('x = "asynchrony"  # async stays here\n', 'x = "asynchrony"  # async stays here\n'),
        ("asynchronous = awaited = Asynchronous = _Async\n", "asynchronous = awaited = Asynchronous = _Async\n"),
    ],
)
def test_what_makes_it_asynchronous_goes(flavour: ModuleType, before: str, after: str) -> None:
    assert flavour.synchronous(before) == after


def test_there_is_a_half_for_each_half() -> None:
    halves = [{path.name for path in (ROOT / "src/aibridge/sdk" / half).glob("*.py")} for half in ("_async", "_sync")]
    assert halves[0] == halves[1]


def test_what_is_there_follows_from_its_source(flavour: ModuleType) -> None:
    assert flavour.modules()
    for name, source in flavour.modules().items():
        assert (ROOT / name).read_text() == flavour.made(source)


def test_the_sdk_needs_nothing_of_the_server() -> None:
    program = """
import sys
import aibridge.sdk
others = {name.split(".")[1] for name in sys.modules if name.startswith("aibridge.")}
print(*sorted(others - {"sdk", "contract", "domain"}))
print(*sorted({"starlette", "uvicorn", "sqlalchemy", "click", "uvloop"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_modules_that_the_codemod_writes_are_there() -> None:
    table = TABLES["v2"]
    assert table.package == "aibridge.sdk"
    homes = {*table.modules.values(), table.roles.home, *filter(None, (name.home for name in table.names.values()))}
    for home in homes:
        importlib.import_module(f"{table.package}.{home}")
    roles = importlib.import_module(f"{table.package}.{table.roles.home}")
    assert hasattr(getattr(roles, table.roles.name), table.roles.parse)
    for name in table.names.values():
        if name.home:
            assert hasattr(importlib.import_module(f"{table.package}.{name.home}"), name.new)
            assert hasattr(importlib.import_module(table.package), name.new)
