"""The first quarter of an hour, as `docs/quickstart.md` tells it, against a real server."""

from pathlib import Path

import pytest
from server.life import free_port, serving
from walked_page import blocks, shows, steps, terminal

URL = "http://127.0.0.1:4001"
"""Where the page's server is; the one here is where there is room."""
PROVIDER = "127.0.0.1:4010"


@pytest.mark.timeout(180)
def test_the_page_is_true(tmp_path: Path) -> None:
    first, *rest = blocks("quickstart.md")
    (start,) = steps(first)
    port = free_port()

    with serving(tmp_path / "data") as server, terminal(tmp_path / "home", server.token) as shell:

        def here(text: str) -> str:
            text = text.replace(URL, server.url).replace(PROVIDER, f"127.0.0.1:{port}")
            return text.replace("--port 4010", f"--port {port}")

        assert start.command == "make run"
        assert shows(here(start.shown), server.said()), server.said()
        for block in rest:
            if block.language == "python":
                name = block.text.partition("\n")[0].removeprefix("# ")
                (tmp_path / "home" / name).write_text(here(block.text))
            for step in steps(block) if block.language == "console" else ():
                shell.follow(step._replace(command=here(step.command), shown=here(step.shown)))
