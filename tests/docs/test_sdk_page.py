"""What `docs/sdk.md` shows runs as it stands, one block after the other, against a real server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.life import serving
from walked_page import blocks

URL = "https://bridge.example"


def test_the_blocks_run_one_after_another(tmp_path: Path) -> None:
    shown = [block.text for block in blocks("sdk.md") if block.language == "python"]
    with serving(tmp_path / "data") as server:
        names = {"token": server.token, "yesterday": datetime.now(UTC) - timedelta(days=1)}
        for text in shown:
            assert URL in text
            exec(compile(text.replace(URL, server.url), "sdk.md", "exec"), names)  # noqa: S102 - the page itself
    assert names["made"]
    assert names["users"]
