"""What the documentation points to within the repository is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_LINK = re.compile(r"\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = _LINK.findall(page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_pointed_to() -> None:
    pointed_to = {(page.parent / target).resolve() for page in PAGES for target in _LINK.findall(page.read_text())}

    assert [page for page in PAGES if page.name != "README.md" and page not in pointed_to] == []
