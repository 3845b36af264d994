"""An attribute of images or families is in many lists: each test names the list that forgot one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.utils import timezone

from images import attributes
from images.access import operator
from images.admin.family_admin import FamilyForm
from images.admin.forms import ImageForm
from images.api import serializers as v2
from images.api.catalog import families, family_openapi
from images.api.v1 import headers
from images.api.v1 import serializers as v1
from images.api.v2 import filters, schemas
from images.families import values
from images.files import sidecar
from images.models import Family, Image, rows

INTERNAL = {
    "status_before_delete",
    "pinned",
    "purged",
    "digests_wanted_at",
}  # columns that no caller sees
# See images.api.catalog.
ELSEWHERE = {"digests", "source_digests", "verified_at", "verified_by"}
COLUMNS = {field.name for field in Image._meta.concrete_fields}
ATTRIBUTES = COLUMNS - INTERNAL - ELSEWHERE
SETTABLE = set(attributes.BASE)
OF_FAMILIES = {field.name for field in Family._meta.concrete_fields}
SETTABLE_OF_FAMILIES = OF_FAMILIES - set(values.READ_ONLY)


def row() -> rows.Row:
    deleted_at = timezone.now()
    return rows.row_of(Image(name="image")) | {"deleted_at": str(deleted_at)}


def family() -> dict[str, Any]:
    return families.document(Family(name="family", owner="x", architecture="x86_64"))


def settable(document: dict[str, Any]) -> dict[str, Any]:
    return {it: document[it] for it in document if it in SETTABLE_OF_FAMILIES}


# (name of the list, its content, the attributes it must have, those it leaves out by intent)
LISTS: list[tuple[str, Callable[[], Iterable[str]], set[str], set[str]]] = [
    ("models/rows.COLUMNS", lambda: rows.COLUMNS, ATTRIBUTES, set()),
    (
        "attributes.BASE, READ_ONLY, READ_ONLY_ONCE_CREATED or RESERVED",
        lambda: (
            attributes.BASE
            | attributes.READ_ONLY
            | attributes.READ_ONLY_ONCE_CREATED
            | attributes.RESERVED
        ),
        ATTRIBUTES,
        {"properties"},
    ),
    (
        "api/serializers.image (PLAIN)",
        lambda: v2.image(row(), operator("v2")),
        ATTRIBUTES,
        {"properties"},  # on the level of the attributes
    ),
    (
        "api/v2/schemas.image",
        lambda: schemas.image()["properties"],
        ATTRIBUTES,
        {"properties", "deleted_at"},  # deleted_at: an extension for admins
    ),
    (
        "api/v1/serializers.image (PLAIN)",
        lambda: v1.image(row(), operator("v1")),
        ATTRIBUTES,
        {"visibility", "os_hidden", "os_hash_algo", "os_hash_value", "tags"},
    ),
    (
        "api/v1/headers.FIELDS",
        lambda: headers.FIELDS,
        ATTRIBUTES,
        {"properties", "tags", "visibility", "os_hidden"}
        | {"os_hash_algo", "os_hash_value"},
    ),
    (
        "api/v2/filters.CONDITIONS",
        lambda: filters.CONDITIONS,
        ATTRIBUTES,
        {"properties", "tags", "visibility", "deleted_at"},
    ),
    ("files/sidecar.ATTRIBUTES", lambda: sidecar.ATTRIBUTES, SETTABLE, {"id", "tags"}),
    ("admin/forms.ImageForm", lambda: ImageForm.base_fields, SETTABLE, {"id"}),
    ("api/catalog/families.document", family, OF_FAMILIES, set()),
    (
        "families/values (_CLEANERS)",
        lambda: values.clean_new(settable(family())),
        SETTABLE_OF_FAMILIES,
        set(),
    ),
    (
        "api/catalog/family_openapi.components (Family)",
        lambda: family_openapi.components()["Family"]["properties"],
        OF_FAMILIES,
        set(),
    ),
    (
        "api/catalog/family_openapi.components (NewFamily)",
        lambda: family_openapi.components()["NewFamily"]["properties"],
        SETTABLE_OF_FAMILIES,
        set(),
    ),
    (
        "admin/family_admin.FamilyForm",
        lambda: FamilyForm.base_fields,
        SETTABLE_OF_FAMILIES,
        set(),
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "required", "left_out"), LISTS, ids=[name for name, *_ in LISTS]
)
def test_no_list_forgets_an_attribute(
    name: str,
    content: Callable[[], Iterable[str]],
    required: set[str],
    left_out: set[str],
) -> None:
    present = set(content())

    forgotten = required - left_out - present

    assert not forgotten, f"{name} forgot {', '.join(sorted(forgotten))}"
    assert left_out <= required - present, f"{name} has what it is said to leave out"


def test_settable_attributes_are_columns() -> None:
    assert SETTABLE <= ATTRIBUTES


def test_no_attribute_is_both_settable_and_read_only() -> None:
    assert not SETTABLE & attributes.READ_ONLY
