"""The schemas of metadata definitions fit the documents that are served."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from images.api.v2 import discovery
from tests.definitions import PATH, TREE


def schema(name: str) -> Any:
    document = discovery.DOCUMENTS[f"metadefs/{name}"]()
    return jsonschema_rs.Draft4Validator(document)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("namespaces", PATH),
        ("namespace", f"{PATH}/OS::Test::Machine"),
        ("objects", f"{PATH}/OS::Test::Machine/objects"),
        ("object", f"{PATH}/OS::Test::Machine/objects/Disk"),
        ("properties", f"{PATH}/OS::Test::Machine/properties"),
        ("property", f"{PATH}/OS::Test::Machine/properties/size"),
        ("tags", f"{PATH}/OS::Test::Machine/tags"),
        ("tag", f"{PATH}/OS::Test::Machine/tags/fast"),
        ("resource_types", f"{PATH}/OS::Test::Machine/resource_types"),
    ],
)
def test_what_is_served_fits_its_schema(name: str, path: str, api: Any) -> None:
    api.admin.post(PATH, json.dumps(TREE), content_type="application/json")

    document = api.member.get(path).json()

    assert document
    schema(name).validate(document)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("namespace", {}),
        ("namespace", {"namespace": "x", "other": 1}),
        ("namespace", {"namespace": "x", "properties": {"x": {"type": "string"}}}),
        ("object", {"description": "x"}),
        ("property", {"name": "x", "title": "X", "type": None}),
        ("tag", {"name": "x" * 81}),
        ("resource_type", {"prefix": "x"}),
    ],
)
def test_what_is_refused_does_not_fit(name: str, document: Any) -> None:
    assert not schema(name).is_valid(document)
