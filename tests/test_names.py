"""Names that were replaced, and home-made nouns: none of them comes back.

Migrations are exempt, and so are the aliases that keep old clients working.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Modules by their old places, which are other things' names today or nobody's.
REPLACED_MODULES = (
    "imagecatalog.public_url",
    "imagecatalog.identity.journal",
    "imagecatalog.identity.management.people",
    "images.audit",
    "images.crash",
    "images.exchange",
    "images.overview",
    "images.pace",
    "images.policy",
    "images.pool",
    "images.rows",
    "images.sharing",
    "images.imports.finishing",
    "images.imports.receiving",
    "images.imports.staging",
    *(f"images.admin.{name}" for name in ("add", "copies", "front", "image", "live")),
    *(f"images.admin.{name}" for name in ("moves", "page", "places", "refusals")),
    *(f"images.admin.{name}" for name in ("steering", "words")),
    *(f"images.api.{name}" for name in ("address", "auth", "body", "chunked")),
    *(f"images.api.{name}" for name in ("connection", "database", "ranges")),
    *(f"images.api.{name}" for name in ("exception_handler", "replies", "transfer")),
    "images.api.views",
    *(f"images.lifecycle.{name}" for name in ("copies", "data", "edges", "leases")),
    *(f"images.lifecycle.{name}" for name in ("moves", "pieces", "purge", "quota")),
    *(f"images.lifecycle.{name}" for name in ("removal", "repair", "retries")),
    *(f"images.lifecycle.{name}" for name in ("status", "trash", "turns", "workers")),
    "images.management.copying",
    "images.management.terminal",
    "images.models.census",
)
REPLACED_NAMES = {
    "Copying",
    "Census",
    "Piece",
    "PieceStatus",
    "Wishes",
    "ask_source",
    "beat_pause",
    "beating",
    "break_off",
    "call_off",
    "fetch_copy",
    "furnish",
    "give_up",
    "next_copy",
    "note_copy",
    "remove_leftovers",
    "request_copy",
    "resting_status",
}
# As a part of any identifier: `take_turn`, `PIECES`, `the_front_door`.
HOME_MADE = {
    "census",
    "door",
    "doors",
    "furnish",
    "journal",
    "leftovers",
    "pace",
    "piece",
    "pieces",
    "remedies",
    "steering",
    "turn",
    "turns",
    "wishes",
}
# In what people read: docstrings, comments, messages, pages, documentation.
HOME_MADE_PHRASES = re.compile(
    r"\b(?:"
    "doors?|census|leftovers|remed(?:y|ies)|web address(?:es)?|"
    "goes for good|gone for good|for good|return(?:s|ed)? to rest|taken for dead|"
    "in (?:no|another) other? ?dress|may everything|broken off|called off|"
    "who may|signs? of life"
    r")\b",
    re.IGNORECASE,
)
ALIASES = {
    "images/api/v2/image_history.py",
    "images/management/commands/image_status.py",
    "images/models/event.py",
    "docs/api.md",
    "CHANGELOG.md",
    "docs/commands.md",
    "images/api/v2/openapi/images.py",
}
EXEMPT = {"tests/test_names.py"}


def python_files() -> Iterator[Path]:
    for top in ("images", "imagecatalog", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "migrations" not in path.parts and _name(path) not in EXEMPT:
                yield path


def read_by_people() -> Iterator[Path]:
    yield from (path for path in python_files() if _name(path).startswith("image"))
    for folder, pattern in (
        ("templates", "*.html"),
        ("imagecatalog", "*.html"),
        ("images/static", "*.js"),
        ("docs", "*.md"),
        (".", "*.md"),
    ):
        yield from sorted(
            (ROOT / folder).glob(f"**/{pattern}" if folder != "." else pattern)
        )


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def replaced_names(source: str) -> list[str]:
    """The identifiers of this source that were replaced or are home-made."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    return sorted(
        name
        for name in names
        if name in REPLACED_NAMES or HOME_MADE & set(_parts(name))
    )


def _parts(name: str) -> list[str]:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return words.lower().split("_")


def home_made_phrases(text: str) -> list[str]:
    return [found[0] for found in HOME_MADE_PHRASES.finditer(text)]


@pytest.mark.parametrize(
    "source",
    ["def take_turn(): ...", "PIECES = 3", "give_up(x)", "class FrontDoor: ..."],
)
def test_the_checker_sees_a_name(source: str) -> None:
    assert replaced_names(source)


def test_the_checker_lets_the_words_of_the_field_pass() -> None:
    assert replaced_names("def slot(chunk, interface): return chunk") == []
    assert home_made_phrases("It is deleted permanently through an interface.") == []


def test_the_checker_sees_a_phrase() -> None:
    assert home_made_phrases("Its data goes for good, through every door.") == [
        "goes for good",
        "door",
    ]


def test_no_replaced_module_is_back() -> None:
    places = (ROOT / name.replace(".", "/") for name in REPLACED_MODULES)
    back = [
        place for place in places if place.is_dir() or place.with_suffix(".py").exists()
    ]
    assert back == []


def test_no_replaced_name_is_back() -> None:
    found = {
        _name(path): names
        for path in python_files()
        if (names := replaced_names(path.read_text()))
    }
    assert found == {}


def test_no_home_made_phrase_is_left() -> None:
    found = {
        _name(path): phrases
        for path in read_by_people()
        if _name(path) not in ALIASES
        and (phrases := home_made_phrases(path.read_text()))
    }
    assert found == {}
