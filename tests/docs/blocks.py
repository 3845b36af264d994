"""The blocks of code on the pages of the documentation, and the commands in them."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.generated import GENERATED, PAGES
from tests.servers import ROOT

ALL_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of a page, other than those that `make docs` writes."""

    page: str  # the name of the file
    language: str  # empty if none is given
    text: str

    @property
    def title(self) -> str:
        """The page and the first line."""
        return f"{self.page}: {self.text.splitlines()[0]}"

    def steps(self) -> list[Step]:
        """The commands behind prompts, each with the lines that it prints."""
        return list(_steps(self.text))


@dataclass(frozen=True)
class Step:
    command: str
    shown: str  # the output on the page; empty if the page does not show it


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in its order."""
    return list(found(page.name, page.read_text()))


def every_block() -> list[Block]:
    return [block for page in ALL_PAGES for block in blocks(page)]


def found(name: str, text: str) -> Iterator[Block]:
    for _, language, block in FENCE.findall(GENERATED.sub("", text)):
        yield Block(name, language, textwrap.dedent(block))


def _steps(text: str) -> Iterator[Step]:
    command, shown = "", ""
    for line in text.splitlines(keepends=True):
        if command and _goes_on(command):
            command += line
        elif line.startswith("$ "):
            if command:
                yield Step(command.strip(), shown.strip())
            command, shown = line[2:], ""
        else:
            shown += line
    if command:
        yield Step(command.strip(), shown.strip())


def _goes_on(command: str) -> bool:
    """Whether the next line belongs to the command."""
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation is open
        return True
    return command.endswith("\\\n")
