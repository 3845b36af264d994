"""The definitions that come with the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command

from images import custom_properties, signatures
from images.metadefs import files, shipped
from images.models import MetadefNamespace, MetadefProperty

TREES = [files.read(path) for path in files.find(shipped.FOLDER)]
IMAGE = "OS::Glance::Image"


def names_on_images() -> list[str]:
    """The names that the described properties have on images."""
    found = []
    for tree in TREES:
        (prefix,) = (it["prefix"] for it in tree.associations if it["name"] == IMAGE)
        found += [prefix + name for name in tree.properties]
    return found


def test_every_property_is_described_once_and_can_be_set() -> None:
    found = names_on_images()

    assert len(found) == len(set(found)) > 60
    for name in found:
        custom_properties.clean_property_name(name)


def test_every_definition_has_a_description() -> None:
    for tree in TREES:
        assert tree.fields["display_name"]
        assert tree.fields["description"]
        assert tree.fields["visibility"] == "public"
        assert all(it.get("description") for it in tree.properties.values())


def test_a_dashboard_that_saves_an_image_keeps_switches_as_they_are_written() -> None:
    # Over "yes" or "1", Horizon writes "null" if the definition says boolean. It keeps what is
    # not among the choices of a string.
    kinds = {schema["type"] for tree in TREES for schema in tree.properties.values()}

    assert kinds == {"string", "integer"}


def test_the_choices_of_signatures_are_those_that_are_verified() -> None:
    (tree,) = (it for it in TREES if it.fields["namespace"] == "OS::Glance::Signatures")

    assert set(tree.properties) == set(signatures.PROPERTIES)
    method, kind = tree.properties[signatures.METHOD], tree.properties[signatures.KIND]
    assert set(method["enum"]) == set(signatures.METHODS)
    assert set(kind["enum"]) == set(signatures.KINDS)


@pytest.mark.django_db
def test_they_are_loaded_once() -> None:
    shipped.load()
    shipped.load()

    assert MetadefNamespace.objects.count() == len(TREES)
    assert MetadefProperty.objects.count() == len(names_on_images())


@pytest.mark.django_db
def test_what_an_operator_made_of_them_stays() -> None:
    MetadefNamespace.objects.create(namespace="OS::Compute::Watchdog", owner="x")
    shipped.load()
    MetadefNamespace.objects.filter(namespace="OS::Compute::VMware").delete()
    MetadefProperty.objects.filter(name="cpu_cores").update(schema={"title": "Mine"})

    shipped.load()

    mine = MetadefNamespace.objects.get(namespace="OS::Compute::Watchdog")
    assert (mine.owner, mine.properties.count()) == ("x", 0)
    assert not MetadefNamespace.objects.filter(namespace="OS::Compute::VMware").exists()
    assert MetadefProperty.objects.get(name="cpu_cores").schema == {"title": "Mine"}


@pytest.mark.django_db
def test_a_definition_that_a_later_release_brings_is_loaded(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.load()
    (tmp_path / "new.json").write_text(json.dumps({"namespace": "New"}))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)

    shipped.load()

    assert MetadefNamespace.objects.filter(namespace="New").exists()


@pytest.mark.django_db
def test_they_are_exported_as_they_came(tmp_path: Any) -> None:
    shipped.load()

    call_command("metadefs_export", "--to", str(tmp_path / "exported"))

    def documents(folder: Any) -> dict[str, Any]:
        found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return {it["namespace"]: it for it in found}

    assert documents(tmp_path / "exported") == documents(shipped.FOLDER)
