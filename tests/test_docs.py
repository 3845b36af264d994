"""The documentation names only what exists: pages, variables, commands, options, targets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from imagecatalog import env
from tests.docs import generated
from tests.servers import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^( *)```.*?\n(.*?)^\1```$", re.M | re.S)
INLINE = re.compile(r"`([^`]+)`")
COMMENT = re.compile(r"\s#.*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code(text: str) -> Iterator[str]:
    """Lines of code blocks, with their continuations, and code in sentences."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield COMMENT.sub("", line)
    for inline in INLINE.findall(FENCE.sub("", text)):
        yield " ".join(inline.split())


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Names of management commands, each with the options that it is shown with."""
    known = "|".join(get_commands())
    for line in code(text):
        named = re.search(rf"manage\.py (\w+)(.*)|^({known})\b(.*)", line)
        if named:
            options = re.findall(
                r"(?<!\S)\[?(--[a-z0-9-]+)", named[2] or named[4] or ""
            )
            yield named[1] or named[3], options


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = HEADING.findall(FENCE.sub("", page.read_text()))
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    }


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@each_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_variables_exist(page: Path) -> None:
    named = set(re.findall(r"IMAGECATALOG_[A-Z]\w*", page.read_text()))

    files = {f"{name}{env.FILE}" for name in env.known()}
    assert named - env.known() - files == set()


@each_page
def test_commands_and_their_options_exist(page: Path) -> None:
    known = get_commands()
    for name, options in commands(page.read_text()):
        assert name in known
        command = load_command_class(known[name], name)
        parser = command.create_parser("manage.py", name)
        assert set(options) - set(parser._option_string_actions) == set(), name


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in code(page.read_text()):
        assert set(re.findall(r"\bmake ([a-z-]+)", line)) - targets == set()


@each_page
def test_generated_parts_are_what_the_code_declares(page: Path) -> None:
    text = page.read_text()

    assert generated.written(text) == text, "run `make docs`"


def test_every_generated_part_is_on_a_page() -> None:
    begun = (generated.GENERATED.findall(page.read_text()) for page in generated.PAGES)

    assert {name for parts in begun for _, name, _ in parts} == {*generated.PARTS}


def test_every_command_is_in_the_list() -> None:
    apps = ("images", "imagecatalog.identity")
    ours = {name for name, app in get_commands().items() if app in apps}
    listed = {name for name, _ in commands((ROOT / "docs/operations.md").read_text())}

    assert len(ours) > 15
    assert ours - listed == set()


def sentences(text: str) -> Iterator[str]:
    """What the first column of a table quotes, without the parts for which "…" stands."""
    for row in re.findall(r"^\| ([^|]*) \|", text, re.M):
        for quoted in re.findall("`([^`]*[^`\\w][^`]*)`", row):
            yield from filter(None, map(str.strip, quoted.split("…")))


def test_quoted_messages_are_those_of_the_service() -> None:
    page = ROOT / "docs" / "troubleshooting.md"
    sources = [*ROOT.glob("images/**/*.py"), *ROOT.glob("imagecatalog/**/*.py")]
    texts = [
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    quoted = [*sentences(page.read_text())]

    assert len(quoted) > 20
    assert [one for one in quoted if not any(one in text for text in texts)] == []


def test_the_checks_find_what_is_wrong() -> None:
    text = "Run `manage.py image_scrub --noww`,\n```\n$ manage.py serve \\\n  --bind A\n```\n"

    assert list(commands(text)) == [
        ("serve", ["--bind"]),
        ("image_scrub", ["--noww"]),
    ]
