"""Metadata definitions on the page of an image."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from images.models import Image, MetadefNamespace, MetadefResourceType

BUS = {"title": "Disk bus", "type": "string", "enum": ["virtio", "scsi"]}
CORES = {
    "title": "Cores",
    "description": "How many <b>cores</b>.",
    "type": "integer",
    "minimum": 1,
    "maximum": 8,
}


@pytest.fixture
def image(make_image: Any) -> Image:
    return make_image("active", properties={"os_type": "linux"})


def define(name: str, kind: str = "OS::Glance::Image", **fields: Any) -> Any:
    """A public namespace with the properties ``bus`` and ``cores``."""
    prefix, target = fields.pop("prefix", "hw_"), fields.pop("target", "")
    namespace = MetadefNamespace.objects.create(
        namespace=name, **{"visibility": "public", **fields}
    )
    kind, _ = MetadefResourceType.objects.get_or_create(name=kind)
    namespace.associations.create(
        resource_type=kind, prefix=prefix, properties_target=target
    )
    namespace.properties.create(name="bus", schema=BUS)
    namespace.properties.create(name="cores", schema=CORES)
    return namespace


def page_of(image: Image) -> str:
    return f"/admin/images/image/{image.pk}/edit/"


def send(client: Client, image: Image, **described: str) -> Any:
    fields = {f"described:{name}": value for name, value in described.items()}
    form = {
        "name": image.name or "",
        "owner": image.owner,
        "visibility": image.visibility,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": "",
        "property_name": ["os_type"],
        "property_value": ["linux"],
        "shown_name": ["os_type"],
        "shown_value": ["linux"],
    }
    return client.post(page_of(image), form | fields)


def test_the_page_offers_definitions_with_help_choices_and_ranges(
    root: Client, image: Image
) -> None:
    define("OS::Test", display_name="Machine", description="What it is like.")

    page = root.get(page_of(image)).content.decode()

    assert "<summary>Machine</summary>" in page
    assert "What it is like." in page
    assert 'name="described:hw_bus"' in page
    assert "<option>virtio</option><option>scsi</option>" in page
    assert "How many &lt;b&gt;cores&lt;/b&gt;. (from 1 to 8)" in page
    assert "<b>cores</b>" not in page


def test_what_is_set_already_is_not_offered(root: Client, make_image: Any) -> None:
    define("OS::Test")
    image = make_image("active", properties={"hw_bus": "scsi"})

    page = root.get(page_of(image)).content.decode()

    assert "described:hw_cores" in page
    assert "described:hw_bus" not in page


def test_only_definitions_for_this_image_are_offered(
    root: Client, image: Image
) -> None:
    define("Own", visibility="private", owner=image.owner, prefix="own_")
    define("Foreign", visibility="private", owner="x", prefix="foreign_")
    define("Volume", kind="OS::Cinder::Volume", target="image", prefix="volume_")

    page = root.get(page_of(image)).content.decode()

    assert "described:own_bus" in page
    assert "foreign_bus" not in page
    assert "volume_bus" not in page


def test_properties_of_objects_are_offered(root: Client, image: Image) -> None:
    namespace = define("OS::Test")
    namespace.metadef_objects.create(name="Disk", properties={"size": CORES})

    assert b"described:hw_size" in root.get(page_of(image)).content


def test_a_viewer_does_not_get_the_form(signed_in: Any, image: Image) -> None:
    assert signed_in("viewer").get(page_of(image)).status_code == 403


def test_a_chosen_value_is_saved_and_an_empty_one_is_not(
    root: Client, image: Image
) -> None:
    define("OS::Test")

    response = send(root, image, hw_bus="virtio", hw_cores="")

    assert response.status_code == 302
    saved = Image.objects.get(pk=image.pk).properties
    assert saved == {"os_type": "linux", "hw_bus": "virtio"}


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"hw_bus": "floppy"}, "hw_bus: choose one of virtio, scsi."),
        ({"hw_cores": "9"}, "hw_cores: enter a number from 1 to 8."),
        ({"hw_cores": "two"}, "hw_cores: enter a number from 1 to 8."),
        ({"hw_cores": "1.5"}, "hw_cores: enter a number from 1 to 8."),
        ({"hw_cores": "nan"}, "hw_cores: enter a number from 1 to 8."),
    ],
)
def test_a_value_that_its_definition_does_not_allow_is_refused(
    described: dict[str, str], sentence: str, root: Client, image: Image
) -> None:
    define("OS::Test")

    response = send(root, image, **described)

    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert Image.objects.get(pk=image.pk).properties == {"os_type": "linux"}


def test_the_page_asks_as_often_for_many_namespaces(root: Client, image: Image) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            root.get(page_of(image))
        return len(queries)

    define("N0")
    few = count()
    for number in range(1, 9):
        define(f"N{number}")

    assert count() == few
