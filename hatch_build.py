"""Compiles the modules that every call goes through, for a wheel that asks for it: AIBRIDGE_COMPILED=1 (`make wheel`).

mypyc turns typed Python into C extensions. The sources stay what runs everywhere: the same modules, interpreted, are in
every other installation, and in this wheel beside the compiled ones.

Some cannot be among them (docs/decisions/0019): a module that defines msgspec structs, since mypyc drops the keywords
of a class statement; one that derives from a class of uvicorn's; one whose objects are referred to weakly.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "domain/interception_id.py",
    "domain/row.py",
    "gateway/admit.py",
    "gateway/arrival.py",
    "gateway/body.py",
    "gateway/call.py",
    "gateway/drain.py",
    "gateway/edge.py",
    "gateway/head.py",
    "gateway/headers.py",
    "gateway/identify.py",
    "gateway/pipeline.py",
    "gateway/record.py",
    "gateway/relay.py",
    "gateway/reply.py",
    "gateway/run.py",
    "gateway/service.py",
    "gateway/unused.py",
    "gateway/upstream.py",
    "gateway/watchdog.py",
    "ledger/journal.py",
    "ledger/turn.py",
    "limits/admission.py",
    "limits/counters.py",
    "limits/engine.py",
    "limits/estimate.py",
    "limits/explain.py",
    "limits/limiters.py",
    "limits/line.py",
    "limits/memory.py",
    "limits/room.py",
    "limits/terms.py",
    "limits/told.py",
    "overload/adaptive.py",
    "overload/concurrency.py",
    "overload/keyed.py",
    "overload/outcome.py",
    "overload/rate.py",
    "overload/retry.py",
    "telemetry.py",
    "wire/anthropic_messages.py",
    "wire/dialect.py",
    "wire/errors.py",
    "wire/lenient.py",
    "wire/limit_headers.py",
    "wire/openai_chat.py",
    "wire/openai_responses.py",
    "wire/readers.py",
    "wire/request.py",
    "wire/sse.py",
)
"""Compiled together, so that they call each other directly. Paths within the package."""


class CompiledModules(BuildHookInterface[Any]):
    """Adds the extensions to a wheel, and marks it as one for this Python and platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, away from the sources: an extension beside its source would be used in the source's place."""
        if version != "standard" or not os.environ.get("AIBRIDGE_COMPILED"):
            return
        root = Path(self.root)
        place = root / "build" / "compiled"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(root / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(root / "pyproject.toml", place)
        modules = [f"src/aibridge/{module}" for module in COMPILED]
        for module in modules:
            _check(place / module)
        subprocess.run([sys.executable, "-m", "mypyc", *modules], cwd=place, check=True)
        for extension in (place / "src").rglob("*.so"):
            build_data["force_include"][str(extension)] = str(extension.relative_to(place / "src"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _check(module: Path) -> None:
    """Fail for a class statement with keywords, which mypyc would drop without a word."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and any(keyword.arg != "metaclass" for keyword in node.keywords):
            raise ValueError(f"{module}:{node.lineno}: {node.name} has keywords, so this module cannot be compiled")
