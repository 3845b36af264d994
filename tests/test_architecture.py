"""The rules of the layout, read from the source: who may import whom, who may touch a status.

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

# Upwards: a room may import the rooms of the floors below its own, and none beside it.
FLOORS: list[set[str]] = [
    {"batches", "units"},
    {"errors", "outages", "text"},
    {"logs"},
    {
        "data_folder",
        "documents",
        "console",
        "min_rate",
        "process_metrics",
        "request_rate",
        "concurrent_indexes",
        "failpoints",
        "db",
        "duty",
        "encryption",
        "format_checks",
    },
    {"models", "stores", "formats", "attributes"},
    {"backups", "cache", "custom_properties", "expected_digests", "signatures"},
    {"property_schema"},
    {"access"},
    {
        "activity",
        "events",
        "http",
        "image_document",
        "listing",
        "history",
        "metadefs",
        "pause",
    },
    {"transitions"},
    {"transfers"},
    {"job_queue"},
    {"lifecycle"},
    {"uploads", "imports", "files", "operations", "families", "retention"},
    {"publishing", "search", "bulk"},
    {"api", "jobs"},
    {"api.v1", "api.v2", "api.catalog", "api.published", "admin", "management"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
IDENTITY_KNOWS = {
    "process_metrics",
    "encryption",
    "data_folder",
    "errors",
    "logs",
    "text",
    "units",
    "concurrent_indexes",
    "console",
    "db",
    "duty",
    "attributes",
    "custom_properties",
    "access",
    "http",
}
KNOW_IDENTITY = {"api", "api.v1", "api.v2", "admin", "jobs", "management"}
FOLLOW_TRANSITIONS = {
    "models",
    "transitions",
    "transfers",
    "lifecycle",
    "uploads",
    "imports",
    "operations",
}
SPEAK_HTTP = {
    "http",
    "api",
    "api.v1",
    "api.v2",
    "api.catalog",
    "api.published",
    "admin",
    "identity",
    "wiring",
}
BY_THE_FACE = {"uploads", "imports"}  # of lifecycle they use only what it exports
HTTP_PACKAGES = ("rest_framework", "django.http")


# The checker


def room_of(name: str) -> str:
    """The room of a dotted name: ``images.api.v2.images`` is in ``api.v2``.

    Everything in ``imagecatalog`` but its app ``identity`` is the wiring. The names of what
    is in no room are empty.
    """
    top, *parts = name.split(".")
    if top == "imagecatalog":
        return "identity" if parts[:1] == ["identity"] else "wiring"
    if top != "images":
        return ""
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOOR:
            return ".".join(parts[:length])
    return ""


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
        if room not in SPEAK_HTTP and name.startswith(HTTP_PACKAGES):
            yield f"{module} knows HTTP: {name}"
        if name.startswith(("images.", "imagecatalog.")):
            yield from _wrong_import(module, room, name)


def _wrong_import(module: str, room: str, name: str) -> Iterator[str]:
    target = room_of(name)
    if target == room or room == "wiring":
        return
    if not target:
        yield f"{module} imports {name}, which is in no room"
    elif target == "wiring":
        yield f"{module} imports the wiring: {name}"
    elif room == "identity":
        if target not in IDENTITY_KNOWS:
            yield f"{module} is of identity, and imports {name}"
    elif target == "identity":
        if room not in KNOW_IDENTITY:
            yield f"{module} imports identity: {name}"
    elif FLOOR[target] >= FLOOR[room]:
        yield f"{module} imports upwards or sideways: {name}"
    elif room == "http" and target == "models":
        yield f"{module} is of http, and imports models: {name}"
    elif room in BY_THE_FACE and name.count(".") > 2 and target == "lifecycle":
        yield f"{module} reaches past the face of lifecycle: {name}"


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
    if node.attr.startswith("mark_") and room_of(module) not in FOLLOW_TRANSITIONS:
        yield f"{module}:{node.lineno} .{node.attr} outside lifecycle"


# The checker can fail


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.errors", "from images import models"),
        ("images.console", "from images.attributes import MAX_LENGTH"),
        ("images.models.image", "from images.stores import get"),
        ("images.stores.local", "import images.models.image"),
        ("images.access.rules", "from images import transitions"),
        ("images.http.views", "from images.models import Image"),
        ("images.http.streaming", "from images import lifecycle"),
        (
            "images.http.streaming",
            "from images.http.helpers import x, y\nimport images.utils",
        ),
        ("images.transfers.leases", "from images.lifecycle import upload"),
        ("images.lifecycle.uploading", "from images.api import versions"),
        ("images.lifecycle.uploading", "from ..api.v2 import images"),
        ("images.lifecycle", "def f():\n    from images.api.v2 import images"),
        ("images.uploads.staging", "from images.lifecycle.uploading import receive"),
        ("images.uploads.staging", "from images.imports import web_download"),
        ("images.imports.web_download", "from images.operations import purge"),
        ("images.jobs.worker", "from images.admin import dashboard"),
        ("images.api.authentication", "from images.api.v1 import images"),
        ("images.api.v1.images", "from images.api.v2 import images"),
        ("images.api.v2.images", "from images.api import v1"),
        ("images.admin.actions", "from images.management import commands"),
        ("images.management.commands.serve", "from images.admin import actions"),
        ("images.lifecycle", "from images.helpers import anything"),
        ("images.access", "from rest_framework.exceptions import NotFound"),
        ("images.models.image", "from django.http import Http404"),
        ("images.stores", "from django import http"),
        ("images.operations.overview", "from imagecatalog.identity import models"),
        ("images.access", "from imagecatalog.identity.models import Project"),
        ("images.api.versions", "from imagecatalog import env"),
        ("images.management.commands.serve", "from imagecatalog.server import threads"),
        ("imagecatalog.identity.tokens", "from imagecatalog import env"),
        ("imagecatalog.identity.admin", "from images.api import authentication"),
        ("imagecatalog.identity.tokens", "from images.models import Image"),
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
        ("images.api.authentication", "from imagecatalog.identity import credentials"),
        ("images.lifecycle.uploading", "from images.access import Caller"),
        ("images.lifecycle.uploading", "from django.db import transaction"),
        ("images.uploads.staging", "from images.lifecycle import receive"),
        ("images.uploads.staging", "from images.transfers import leases"),
        ("images.models.location", "from images.models.image import Image"),
        ("images.http.views", "from images.access import Caller"),
        ("images.http.views", "from django.http import HttpRequest"),
        ("images.stores.__init__", "from .local import Local"),
        ("images.jobs.worker", "from imagecatalog.identity import pruning"),
        ("images.management.commands.image_worker", "from images.jobs import worker"),
        ("imagecatalog.identity.tokens", "from images import access, errors"),
        ("imagecatalog.urls", "from images.api import versions"),
    ],
)
def test_the_checker_lets_a_right_import_pass(module: str, source: str) -> None:
    assert list(wrong_imports(module, source)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.api.v2.images", "image.mark_active()"),
        ("images.admin.actions", "verb = image.mark_deleted"),
        ("images.lifecycle.uploading", "image.refresh_from_db()"),
        ("images.lifecycle.uploading", "image.save()"),
        ("images.admin.forms", "super().save(commit=False)"),
    ],
)
def test_the_checker_sees_a_wrong_word(module: str, source: str) -> None:
    assert list(wrong_words(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("images.lifecycle.uploading", "image.mark_saving()"),
        ("images.models.image", "'no .mark_ here'"),
        ("images.lifecycle.uploading", "image.save(update_fields=['status'])"),
        ("images.lifecycle.uploading", "image.save(force_insert=True)"),
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


# The layout


def product() -> dict[str, str]:
    """Module name -> source of everything that is shipped, without migrations."""
    modules = {}
    for top in ("images", "imagecatalog"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if "migrations" not in parts:
                modules[".".join(parts)] = path.read_text()
    return modules


def test_imports_go_downwards_and_no_interface_knows_another() -> None:
    wrong = [
        line for name, text in product().items() for line in wrong_imports(name, text)
    ]
    assert wrong == []


def test_every_module_is_in_a_room() -> None:
    assert [name for name in product() if not room_of(name)] == ["images.__init__"]


def test_no_room_imports_itself_by_a_detour() -> None:
    graph: dict[str, set[str]] = {}
    for name, text in product().items():
        rooms = {room_of(it) for it in imports(name, ast.parse(text))}
        graph.setdefault(room_of(name), set()).update(rooms - {"", room_of(name)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these rooms import each other: {error.args[1]}")


def test_the_face_of_lifecycle_exports_only_what_lives_there() -> None:
    names = imports(
        "images.lifecycle", ast.parse(product()["images.lifecycle.__init__"])
    )
    elsewhere = [
        it for it in names if not it.startswith(("images.lifecycle.", "__future__"))
    ]
    assert elsewhere == []


def test_only_the_life_cycle_follows_transitions_and_nothing_is_saved_whole() -> None:
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
        elif path.name == ".ci" or not path.name.startswith((".", "dist", "var")):
            inside = (it for it in path.rglob("*") if it.is_file())
            yield from (it for it in inside if it.suffix != ".pyc")
