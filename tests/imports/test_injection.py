"""Properties that the operator sets on imported images."""

from __future__ import annotations

from typing import Any

import pytest

from images import errors, imports, lifecycle, uploads
from images.access import Caller
from images.imports import ImportRequest
from images.models import Event, Image, Status
from tests.copies import work
from tests.rows import current

FIELDS = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture(autouse=True)
def injecting(settings: Any) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("inject_image_metadata",)
    settings.IMAGECATALOG_INJECTED_PROPERTIES = ("origin:import", "url:http://x/y")


@pytest.fixture
def staged(db: None, member: Caller) -> Image:
    owned = FIELDS | {"owner": member.project}
    image = lifecycle.create(owned, {"origin": "own", "os_distro": "x"}, [], member)
    uploads.stage(image.pk, [b"data"], member)
    return image


def properties(image: Image, caller: Caller) -> dict[str, str]:
    """The properties after an import."""
    imports.request_import(image.pk, ImportRequest("glance-direct"), caller)
    work()
    assert current(image).status == Status.ACTIVE
    return current(image).properties


def test_properties_are_set_and_the_others_stay(staged: Image, member: Caller) -> None:
    assert properties(staged, member) == {
        "origin": "import",
        "url": "http://x/y",
        "os_distro": "x",
    }
    assert Event.objects.filter(image=staged, verb="update").exists()


def test_a_caller_with_an_ignored_role_sets_its_own(
    staged: Image, admin: Caller
) -> None:
    assert properties(staged, admin) == {"origin": "own", "os_distro": "x"}


def test_other_roles_can_be_ignored(
    staged: Image, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_INJECTION_IGNORED_ROLES = ("builder", "member")

    assert properties(staged, member)["origin"] == "own"


def test_without_the_plugin_nothing_is_set(
    staged: Image, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ()

    assert properties(staged, member)["origin"] == "own"


def test_properties_of_the_service_itself_are_not_set(
    staged: Image, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_INJECTED_PROPERTIES = ("os_glance_failed_import:x", "a:b")

    assert properties(staged, member).keys() == {"origin", "os_distro", "a"}


def test_a_refused_import_sets_nothing(staged: Image, member: Caller) -> None:
    lifecycle.delete(staged.pk, member)
    before = current(staged).properties

    with pytest.raises((errors.NotFound, errors.Conflict)):
        imports.request_import(staged.pk, ImportRequest("glance-direct"), member)

    assert current(staged).properties == before
