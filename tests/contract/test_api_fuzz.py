"""The running server keeps to its OpenAPI document, whatever is sent: schemathesis asks, with both databases.

Statuses are those of the document, bodies are of its schemas, wrong methods are told the right ones, nothing is
answered to strangers, and there is never a 5xx. `SCHEMATHESIS_EXAMPLES` is how many examples of each endpoint there
are; `SCHEMATHESIS_SEED` makes them other ones than those of each run. An owner tries the bounds of every value as well.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_users import User, api

from aibridge.contract.table import ENDPOINTS

SHORT = "2"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", SHORT)
SEED = os.environ.get("SCHEMATHESIS_SEED", "")
HERE = Path(__file__).parent
LEFT_OUT = {"logout"}
"""It ends the token that it is sent with."""
TRIED = len(ENDPOINTS) - len(LEFT_OUT)
SERVER = ("--api-rate-limit", "0", "--trusted-proxies", "127.0.0.0/8")
PATIENCE = 60 + 30 * int(EXAMPLES)
"""Seconds, on a machine that is busy."""


def tried(url: str, who: User, *arguments: str) -> str:
    """Run schemathesis against a server as somebody, and answer what it says.

    Raises:
        AssertionError: it found something.
    """
    config = HERE / "schemathesis.toml"
    command = [str(Path(sys.executable).with_name("st")), "--no-color", "--config-file", str(config)]
    command += ["run", f"{url}/api/v2/openapi.json", "-H", f"Authorization: Bearer {who.token}", *arguments]
    command += ["--exclude-path-regex", "/ai-gateway/|/config/", "--max-examples", EXAMPLES]  # aliases of the others
    command += [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
    command += ["--seed", SEED] if SEED else ["--generation-deterministic"]
    _, organizations = who.ask("GET", "/organizations")
    ours = organizations["organizations"][0]
    env = {
        "PATH": os.environ["PATH"],
        "SCHEMATHESIS_HOOKS": str(HERE / "fuzz_hooks.py"),
        "FUZZ_USER": f"me {who.id} {who.username}",
        "FUZZ_KEY": who.key,
        "FUZZ_ORGANIZATION": f"{ours['id']} {ours['name']}",
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(PATIENCE + 30)
def test_the_api_is_as_it_is_described_to_an_owner(tmp_path: Path, database_url: str) -> None:
    with api(tmp_path / "data", *SERVER, "--database-url", database_url) as (server, owner, _):
        # A short run looks for the borders of each field once, where the database is the stricter one.
        short = EXAMPLES == SHORT and database_url.startswith("sqlite")
        phases = ("--phases", "examples,fuzzing,stateful") if short else ()
        said = tried(server.url, owner, "-H", "X-Coder-Bypass-Ratelimit: true", *phases)
        left, logged = owner.ask("GET", "/users/me")[0], server.logged()

    assert f"Tested: {TRIED}" in said
    assert left == 200
    assert "Traceback" not in logged


@pytest.mark.timeout(PATIENCE + 30)
def test_the_api_is_as_it_is_described_to_a_member(tmp_path: Path, database_url: str) -> None:
    with api(tmp_path / "data", *SERVER, "--database-url", database_url) as (server, _, member):
        said = tried(server.url, member, "--phases", "examples,fuzzing,stateful")
        left, logged = member.ask("GET", "/users/me")[0], server.logged()

    assert f"Tested: {TRIED}" in said
    assert left == 200
    assert "Traceback" not in logged
