"""The page of `aibridge simulate`: it stands alone, shows all, and takes no name for HTML."""

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from simulate_samples import calls_in, limits_in, line, run


class Fetches(HTMLParser):
    """What a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name in ("src", "href", "xlink:href") or name.startswith("on")]


def test_the_page_stands_alone_and_shows_all(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    result = run("--limits", limits_in(tmp_path), "--from", calls_in(tmp_path), "--plot", str(path))

    assert (result.exit_code, result.stderr) == (0, f"The plots are in {path}\n")
    page = path.read_text()
    fetches = Fetches()
    fetches.feed(page)
    assert fetches.found == []
    assert "<ben>" not in page
    assert "&lt;ben&gt;" in page
    parts = [part.split("</svg>")[0] for part in page.split("<svg")[1:]]
    drawings = [ET.fromstring(f"<svg{part}</svg>") for part in parts]  # noqa: S314 -- written by ourselves
    assert [len(drawing.findall("polyline")) for drawing in drawings] == [4, 2, 2, 0]
    assert {point.split(",")[1] for point in drawings[0][-4].attrib["points"].split()} == {"151.0", "126.0", "26.0"}
    labels = {text.text for drawing in drawings for text in drawing.findall("text")}
    assert labels >= {"0", "3", "6", "38", "76", "16:00", "16:30", "17:00", "ada"}
    titles = [title.text for drawing in drawings for title in drawing.iter("title")]
    for expected in ("recorded: at most 5", "with these limits: at most 2", "ada: 3 refusals, 2025-11-24 16:00Z"):
        assert expected in titles


def test_no_name_is_read_as_html(tmp_path: Path) -> None:
    file, path = tmp_path / "calls.jsonl", tmp_path / "out.html"
    file.write_text("".join(line(number, "<b>&", 10.0) for number in range(3)))
    assert run("--limits", limits_in(tmp_path), "--from", str(file), "--plot", str(path)).exit_code == 0
    page = path.read_text()
    assert "<b>" not in page
    assert page.count("&lt;b&gt;&amp;") == 4  # beside its row, over a cell of it, and in both tables


@pytest.mark.parametrize("name", ["out.htm", "OUT.HTML"])
def test_a_page_may_be_named_as_pages_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("--limits", limits_in(tmp_path), "--from", calls_in(tmp_path), "--plot", str(path)).exit_code == 0
    assert path.read_text().startswith("<!doctype html>")


def test_a_page_says_so_when_nobody_was_refused(tmp_path: Path) -> None:
    file, path = tmp_path / "none.yaml", tmp_path / "out.html"
    file.write_text("limits: []\n")
    assert run("--limits", str(file), "--from", calls_in(tmp_path), "--plot", str(path)).exit_code == 0
    assert "Nobody." in path.read_text()


def test_a_long_time_is_drawn_in_as_many_points_as_a_short_one(tmp_path: Path) -> None:
    file, path = tmp_path / "calls.jsonl", tmp_path / "out.html"
    file.write_text("".join(line(number * 86400, "ada", 100.0) for number in range(60)))
    assert run("--limits", limits_in(tmp_path), "--from", str(file), "--plot", str(path)).exit_code == 0
    page = path.read_text()
    assert "the busiest minute of 178" in page
    assert len(page) < 100_000
