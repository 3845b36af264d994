"""The house rules, read from the source: who may import whom, and who may touch a status.

The checker itself is tried on made-up sources first, so that it is known to be able to fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
THINGS = {"models", "stores", "formats", "signatures", "attributes"}
VERBS = {
    "transitions",
    "transfers",
    "lifecycle",
    "uploads",
    "sharing",
    "access",
    "policy",
    "property_schema",
    "listing",
    "rows",
    "operations",
    "history",
    "files",
}
HTTP_ROOM = {"http"}
HALL = {"api"}  # what both API doors share
DOORS = {"api.v1", "api.v2", "admin", "management"}
LAYERS = [
    {"errors", "failpoints", "units", "min_rate", "db", "console"},
    THINGS,
    VERBS,
    HTTP_ROOM,
    HALL,
    DOORS,
]  # upwards
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
WIRING = {"__init__"}  # bound by nothing
BELOW_THE_DOORS = LAYERS[0] | THINGS | VERBS
HTTP = ("rest_framework", "django.http")


# The checker


def room_of(module: str) -> str:
    """``images.api.v2.images`` is in the room ``api.v2``; ours is ``images`` only."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in LEVEL:
            return ".".join(parts[:length])
    return parts[0]


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def wrong_imports(module: str, source: str) -> Iterator[str]:
    room = room_of(module)
    for name in imports(module, ast.parse(source)):
        if room in BELOW_THE_DOORS and name.startswith((*HTTP, "imagecatalog")):
            yield f"{module} knows {name}"
        if not name.startswith("images.") or room in WIRING:
            continue
        target = room_of(name)
        if target == room:
            continue
        if target not in LEVEL:
            yield f"{module} imports {name}, which is in no room"
        elif LEVEL[target] > LEVEL[room]:
            yield f"{module} imports upwards: {name}"
        elif LEVEL[target] == LEVEL[room] and room not in VERBS:
            yield f"{module} imports its neighbour: {name}"


def wrong_words(module: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            yield from _wrong_attribute(module, node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {keyword.arg for keyword in node.keywords}  # None: **anything
            careful = given & {"update_fields", "force_insert", None}
            if node.func.attr == "save" and not careful:
                yield f"{module}:{node.lineno} save() without update_fields"


def _wrong_attribute(module: str, node: ast.Attribute) -> Iterator[str]:
    if node.attr == "refresh_from_db":
        yield f"{module}:{node.lineno} refresh_from_db"
    allowed = {"models", "transitions", "transfers", "lifecycle", "uploads", "operations"}
    if node.attr.startswith("mark_") and room_of(module) not in allowed:
        yield f"{module}:{node.lineno} .{node.attr} outside lifecycle"


# The checker can fail


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.errors", "from images import models"),
        ("images.models.image", "from images.stores import get"),
        ("images.stores.local", "import images.models.image"),
        ("images.lifecycle.data", "from images.api import transfer"),
        ("images.lifecycle.data", "from ..api.v2 import images"),
        ("images.stores.__init__", "from ..models import Image"),
        ("images.lifecycle", "def f():\n    from images.api.v2 import images"),
        ("images.api.authentication", "from images.api.v1 import images"),
        ("images.api.v1.images", "from images.api.v2 import images"),
        ("images.api.v2.images", "from images.api import v1"),
        ("images.admin.actions", "from images.management import commands"),
        ("images.management.commands.serve", "from images.admin import actions"),
        ("images.lifecycle", "from images.helpers import anything"),
        ("images.access", "from rest_framework.exceptions import NotFound"),
        ("images.models.image", "from django.http import Http404"),
        ("images.stores", "from django import http"),
        ("images.sharing", "from imagecatalog import env"),
    ],
)
def test_the_checker_sees_a_wrong_import(module: str, source: str) -> None:
    assert list(wrong_imports(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.api.v2.images", "from images import access, errors, lifecycle"),
        ("images.api.v2.images", "from images.api.v2 import patch"),
        ("images.api.v2.images", "from . import patch\nfrom .. import versions"),
        ("images.api.v1.images", "from images.http.streaming import body"),
        ("images.lifecycle.data", "from images.access import Caller"),
        ("images.lifecycle.data", "from django.db import transaction"),
        ("images.models.location", "from images.models.image import Image"),
        ("images.api.authentication", "from django.http import HttpRequest"),
        ("images.stores.__init__", "from .local import Local"),
        ("images.__init__", "from images.api.v2 import schemas"),
    ],
)
def test_the_checker_lets_a_right_import_pass(module: str, source: str) -> None:
    assert list(wrong_imports(module, source)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.api.v2.images", "image.mark_active()"),
        ("images.sharing", "verb = image.mark_deleted"),
        ("images.lifecycle.data", "image.refresh_from_db()"),
        ("images.lifecycle.data", "image.save()"),
        ("images.admin.forms", "super().save(commit=False)"),
    ],
)
def test_the_checker_sees_a_wrong_word(module: str, source: str) -> None:
    assert list(wrong_words(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.lifecycle.data", "image.mark_saving()"),
        ("images.models.image", "'no .mark_ here'"),
        ("images.lifecycle.data", "image.save(update_fields=['status'])"),
        ("images.lifecycle.data", "image.save(force_insert=True)"),
        ("images.models.image", "super().save(*args, **kwargs)"),
    ],
)
def test_the_checker_lets_a_right_word_pass(module: str, source: str) -> None:
    assert list(wrong_words(module, source)) == []


@pytest.mark.parametrize(
    "text", ["see https://pypi." + "org/simple", "/home/" + "eve/x", "/Users/" + "eve/"]
)
def test_the_checker_sees_a_text_that_belongs_to_one_machine(text: str) -> None:
    assert FOREIGN.search(text)


# The house


def product() -> dict[str, str]:
    """Module name -> source of everything that is shipped, without migrations."""
    modules = {}
    for top in ("images", "imagecatalog"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if "migrations" not in parts:
                modules[".".join(parts)] = path.read_text()
    return modules


def test_imports_go_downwards_and_no_door_knows_another() -> None:
    ours = {name: text for name, text in product().items() if name.startswith("images")}
    wrong = [line for name, text in ours.items() for line in wrong_imports(name, text)]
    assert wrong == []


def test_every_module_is_in_a_room() -> None:
    rooms = {room_of(name) for name in product() if name.startswith("images")}
    assert rooms - set(LEVEL) - WIRING == set()


def test_the_rooms_of_one_layer_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, text in product().items():
        room = room_of(name)
        if name.startswith("images.") and room in LEVEL:
            names = imports(name, ast.parse(text))
            targets = {room_of(it) for it in names if it.startswith("images.")}
            graph.setdefault(room, set()).update(targets & set(LEVEL) - {room})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"in a circle: {circle.args[1]}")


def test_only_the_life_cycle_moves_a_status_and_nothing_is_saved_whole() -> None:
    wrong = [
        line for name, text in product().items() for line in wrong_words(name, text)
    ]
    assert wrong == []


# Put together here, or this file would be the first to break the rule.
HOSTS = ("pypi.", "pythonhosted.", "npmjs.", "deb.debian.", "crates.")
FOREIGN = re.compile(
    "|".join([*(re.escape(f"{host}org") for host in HOSTS), "/(home|Users|root)/[a-z]"])
)


def test_no_file_names_a_registry_host_or_somebodys_home() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert wrong == []


def files() -> Iterator[Path]:
    """Every file of the project; nothing of its environment, caches and data."""
    for path in sorted(ROOT.iterdir()):
        if path.is_file():
            yield path
        elif path.name == ".ci" or not path.name.startswith((".", "var")):
            inside = (it for it in path.rglob("*") if it.is_file())
            yield from (it for it in inside if it.suffix != ".pyc")
