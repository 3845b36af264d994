"""The pages of what is published, in a real browser. They are files, as in a static copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from images.publishing import pages
from images.publishing.pages import Entry
from images.publishing.usage import Site
from tests.published_family import CURRENT, FAMILY, OLD
from tests.wire.browser import SHOTS

pytestmark = pytest.mark.slow
SITE = Site("https://images.example.org/pub", is_signed=True)
NAMES = ("SHA256SUMS", "SHA256SUMS.gpg", "debian-13-20260131.qcow2", "meta.json")
ENTRIES = [Entry(name, 412, FAMILY.updated_at) for name in NAMES]
OPEN_ALL = "document.querySelectorAll('details').forEach(it => it.open = true)"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    cards, family = [pages.card(FAMILY)], "images/debian-13"
    files = {
        "style.css": pages.style(),
        "index.html": pages.top_page(SITE, cards, pages.top_entries(ENTRIES)),
        "images/index.html": pages.families_page(SITE, cards),
        f"{family}/index.html": pages.family_page(SITE, FAMILY),
        f"{family}/20260131/index.html": pages.version_page(SITE, FAMILY, OLD, ENTRIES),
        f"{family}/current/index.html": pages.version_page(
            SITE, FAMILY, CURRENT, ENTRIES, folder="current"
        ),
    }
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return top


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 320, "height": 700}}),
    ],
)
def test_every_page_is_accessible_and_fits(
    browser: Browser, tree: Path, name: str, options: dict[str, Any]
) -> None:
    context = browser.new_context(**options)
    page = context.new_page()
    wrong, wide = {}, {}
    SHOTS.mkdir(parents=True, exist_ok=True)
    for path in tree.rglob("index.html"):
        page.goto(path.as_uri())
        page.evaluate(OPEN_ALL)
        title = path.parent.relative_to(tree).as_posix().replace("/", "-")
        page.screenshot(path=SHOTS / f"published-{title}-{name}.png", full_page=True)
        wide[title] = page.evaluate(
            "document.documentElement.scrollWidth - innerWidth > 0"
        )
        found = Axe().run(page).response["violations"]
        wrong[title] = [f"{it['id']}: {it['nodes'][0]['html'][:200]}" for it in found]
    context.close()

    assert {title: found for title, found in wrong.items() if found} == {}
    assert [title for title, is_wide in wide.items() if is_wide] == []
