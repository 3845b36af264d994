"""The documentation site: ``make docs`` builds it with Sphinx."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import django
from django.conf import settings
from sphinx.application import Sphinx

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
django.setup()

from tests.docs import api  # noqa: E402  (the settings come first)

project = "imagecatalog"
release = version = str(settings.IMAGECATALOG_VERSION)
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"imagecatalog {release}"
html_show_copyright = False
html_copy_source = html_show_sourcelink = False
myst_heading_anchors = 4
nitpicky = True
# Examples are cut with "…", which no lexer knows.
suppress_warnings = ["misc.highlighting_failure"]

CHAPTERS = {
    "Start": ["install", "containers", "configuration", "authentication", "admin"],
    "Use": ["api", "families", "retention", "publishing", "lifecycle", "glossary"],
    "Reference": ["commands", "metrics", "api-reference"],
    "Project": ["architecture", "contributing", "changelog", "security"],
}
OPERATE = "Operate"  # the chapter of all other pages, after these
FIRST = ["operations", "upgrade", "backup", "monitoring"]
# Pages of the top folder, which the site has under the name of a page that links to them.
TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
OF_TOP = re.compile(rf"\]\((?:\.\./)?({'|'.join(TOP)})")
# What is in the repository only.
ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?:\.\./|changelog\.d)[^)]*\)")


def setup(app: Sphinx) -> None:
    """Let the site differ from the pages as they are read in the repository."""
    app.connect("source-read", adapt)


def adapt(app: Sphinx, page: str, source: list[str]) -> None:
    """Complete a page, and make its links lead to pages of the site."""
    text = source[0]
    top = ROOT / f"{page.upper()}.md"
    if top.name in TOP:
        text = top.read_text().replace("](docs/", "](")
    if page == "index":
        text += contents()
    if page == "api-reference":
        text += api.reference()
    text = OF_TOP.sub(lambda found: f"]({found[1].lower()}", text)
    source[0] = ELSEWHERE.sub(r"\1", text)


def contents() -> str:
    """Return the chapters, from which the navigation is made."""
    listed = {page for pages in CHAPTERS.values() for page in pages} | {"index"}
    others = {path.stem for path in FOLDER.glob("*.md")} - listed
    operate = sorted(others, key=lambda page: (page not in FIRST, page))
    start, *rest = CHAPTERS.items()
    chapters = [start, (OPERATE, operate), *rest]
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n"
        + "\n".join(pages)
        + "\n```\n"
        for caption, pages in chapters
    )
