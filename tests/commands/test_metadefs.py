"""Metadata definitions from files and to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images.metadefs import files
from images.models import MetadefNamespace
from tests.definitions import TREE

pytestmark = pytest.mark.django_db

FILE = {
    "namespace": "OS::Test",
    "visibility": "public",
    "protected": True,
    "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
    "properties": {
        "cores": {
            "title": "Cores",
            "description": "How many.",
            "type": "integer",
            "minimum": 1,
            "default": 1,
        },
        "features": {
            "title": "Features",
            "operators": ["<or>"],
            "type": "array",
            "items": {"type": "string", "enum": ["a", "b"]},
        },
    },
    "objects": [
        {"name": "Old", "properties": {"x": {"title": "X", "type": "string"}}},
    ],
    "tags": [{"name": "fast"}],
}
OTHER = {
    "namespace": "OS::Test",
    "display_name": "New name",
    "resource_type_associations": [
        {"name": "OS::Glance::Image", "prefix": "new_"},
        {"name": "OS::Nova::Flavor"},
    ],
    "properties": {
        "cores": {"title": "New title", "type": "integer"},
        "threads": {"title": "Threads", "type": "integer"},
    },
    "objects": [{"name": "New"}],
    "tags": [{"name": "FAST"}, {"name": "slow"}],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(document)``: the folder, with one file of it."""

    def write(document: Any, name: str = "a.json") -> Path:
        folder = tmp_path / "definitions"
        folder.mkdir(exist_ok=True)
        content = document if isinstance(document, str) else json.dumps(document)
        (folder / name).write_text(content)
        return folder

    return write


def exported(folder: Path, *names: str) -> list[Any]:
    call_command("metadefs_export", *names, "--to", str(folder))
    found = [json.loads(file.read_text()) for file in folder.iterdir()]
    return sorted(found, key=lambda document: document["namespace"])


def test_a_folder_is_loaded_and_exported_unchanged(
    write: Any, tmp_path: Path, capsys: Any
) -> None:
    write(TREE, "b.json")
    folder = write(FILE)
    (folder / "README").write_text("no definitions")

    call_command("metadefs_load", str(folder))

    out = capsys.readouterr().out.splitlines()
    assert out == ["OS::Test: created", "OS::Test::Machine: created"]
    first, second = exported(tmp_path / "exported")
    assert second == {**TREE, "protected": False}
    (old,) = first.pop("objects")
    assert old == {**FILE["objects"][0], "required": []}
    assert first == {name: it for name, it in FILE.items() if name != "objects"}


def test_what_was_exported_can_be_loaded_again(write: Any, tmp_path: Path) -> None:
    call_command("metadefs_load", str(write(FILE)))
    before = exported(tmp_path / "one")
    MetadefNamespace.objects.all().delete()

    call_command("metadefs_load", str(tmp_path / "one"))

    assert exported(tmp_path / "two") == before


def test_nulls_in_a_file_mean_that_nothing_is_set(write: Any) -> None:
    document = FILE | {
        "display_name": None,
        "resource_type_associations": [{"name": "X", "prefix": None}],
        "objects": [{"name": "Old", "description": None, "properties": None}],
    }

    call_command("metadefs_load", str(write(document)))

    assert MetadefNamespace.objects.get().associations.get().prefix == ""


def test_a_namespace_that_exists_is_skipped(
    write: Any, tmp_path: Path, capsys: Any
) -> None:
    call_command("metadefs_load", str(write(FILE)))
    before = exported(tmp_path / "one")
    capsys.readouterr()

    call_command("metadefs_load", str(write(OTHER)))

    assert capsys.readouterr().out == "OS::Test: skipped\n"
    assert exported(tmp_path / "one") == before


def test_add_adds_what_is_missing(write: Any, tmp_path: Path) -> None:
    call_command("metadefs_load", str(write(FILE)))

    call_command("metadefs_load", str(write(OTHER)), "--merge", "add")

    (found,) = exported(tmp_path / "exported")
    assert "display_name" not in found
    assert found["resource_type_associations"] == [
        {"name": "OS::Glance::Image", "prefix": "hw_"},
        {"name": "OS::Nova::Flavor"},
    ]
    assert found["properties"].keys() == {"cores", "features", "threads"}
    assert found["properties"]["cores"]["title"] == "Cores"
    assert [it["name"] for it in found["objects"]] == ["Old", "New"]
    assert [it["name"] for it in found["tags"]] == ["fast", "slow"]


def test_prefer_new_also_changes_what_differs(write: Any, tmp_path: Path) -> None:
    call_command("metadefs_load", str(write(FILE)))

    call_command("metadefs_load", str(write(OTHER)), "--merge", "prefer-new")

    (found,) = exported(tmp_path / "exported")
    assert found["display_name"] == "New name"
    assert found["protected"] is False
    assert {
        it["name"]: it.get("prefix") for it in found["resource_type_associations"]
    } == {
        "OS::Glance::Image": "new_",
        "OS::Nova::Flavor": None,
    }
    assert found["properties"].keys() == {"cores", "features", "threads"}
    assert found["properties"]["cores"]["title"] == "New title"
    assert {it["name"] for it in found["objects"]} == {"Old", "New"}
    assert {it["name"] for it in found["tags"]} == {"FAST", "slow"}


def test_overwrite_leaves_nothing_of_the_old_namespace(
    write: Any, tmp_path: Path
) -> None:
    call_command("metadefs_load", str(write(FILE)))

    call_command("metadefs_load", str(write(OTHER)), "--merge", "overwrite")

    (found,) = exported(tmp_path / "exported")
    new = {**OTHER["objects"][0], "required": [], "properties": {}}
    assert found == {
        **OTHER,
        "visibility": "private",
        "protected": False,
        "objects": [new],
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ({}, "Invalid namespace"),
        ({"namespace": "x", "properties": {"x": {}}}, "needs a title"),
        ({"namespace": "x", "colour": "red"}, "no attribute 'colour'"),
    ],
)
def test_a_wrong_file_is_reported_and_the_others_are_loaded(
    document: Any, message: str, write: Any, capsys: Any
) -> None:
    write(document, "wrong.json")

    with pytest.raises(CommandError, match="1 of 2 files not loaded"):
        call_command("metadefs_load", str(write(FILE)))

    assert message in capsys.readouterr().err
    assert MetadefNamespace.objects.get().namespace == "OS::Test"


def test_a_folder_without_files_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CommandError, match="neither a file nor a folder"):
            call_command("metadefs_load", str(path))


def test_one_file_is_loaded(write: Any) -> None:
    call_command("metadefs_load", str(write(FILE) / "a.json"))

    assert MetadefNamespace.objects.count() == 1


def test_single_namespaces_are_exported(write: Any, tmp_path: Path) -> None:
    write(TREE, "b.json")
    call_command("metadefs_load", str(write(FILE)))

    (found,) = exported(tmp_path / "exported", "OS::Test")

    assert found["namespace"] == "OS::Test"
    with pytest.raises(CommandError, match="OS::Other not found"):
        exported(tmp_path / "exported", "OS::Test", "OS::Other")


def test_every_namespace_gets_a_file_of_its_own(tmp_path: Path) -> None:
    for name in ("A::B", "a-b", "../../x", "::"):
        MetadefNamespace.objects.create(namespace=name)

    found = exported(tmp_path / "exported")

    assert {it["namespace"] for it in found} == {"A::B", "a-b", "../../x", "::"}
    assert {path.name for path in tmp_path.iterdir()} == {"exported", "images"}


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    MetadefNamespace.objects.create(namespace="N")
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="cannot be written"):
        call_command("metadefs_export", "--to", str(tmp_path / "file"))


def test_a_merge_is_complete_or_does_nothing(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("metadefs_load", str(write(FILE)))
    before = exported(tmp_path / "one")

    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(files, "fill", fail)
    with pytest.raises(RuntimeError):
        call_command("metadefs_load", str(write(OTHER)), "--merge", "overwrite")

    assert exported(tmp_path / "one") == before


def test_an_output_that_nobody_reads_is_not_reported_as_a_folder(
    tmp_path: Path,
) -> None:
    class Closed(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    MetadefNamespace.objects.create(namespace="N")

    with pytest.raises(SystemExit, match="141"):
        call_command("metadefs_export", "--to", str(tmp_path), stdout=Closed())
