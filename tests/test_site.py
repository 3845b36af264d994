"""The documentation site: it is built without a warning, and needs no other site."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from imagecatalog import openapi
from tests.servers import ROOT

LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"([^\"]*)\"")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--fail-on-warning", "--keep-going"]
    places = ["--doctree-dir", f"{folder}/doctrees", "docs", f"{folder}/html"]
    command = [sys.executable, "-m", "sphinx", *options, *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_can_be_found(site: Path) -> None:
    index = (site / "searchindex.js").read_text()

    for page in ROOT.glob("docs/*.md"):
        assert f'"{page.stem}"' in index
        assert f"{page.stem}.html" in (site / "index.html").read_text()


def test_the_reference_has_every_operation(site: Path) -> None:
    reference = (site / "api-reference.html").read_text()

    for path, methods in openapi.document()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in reference


def test_no_page_loads_anything_from_another_site(site: Path) -> None:
    for page in site.glob("*.html"):
        for url in LOADED.findall(page.read_text()):
            assert not url.startswith(("http:", "https:", "//")), (page.name, url)
