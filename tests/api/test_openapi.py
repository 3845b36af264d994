from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.generic import RedirectView
from openapi_spec_validator import OpenAPIV31SpecValidator

from imagecatalog import openapi
from images.api.proxy_check import proxy_check
from images.api.published.urls import published
from images.api.v1.images import ImageRootViewSet
from images.http.exception_handler import STATUS
from images.http.openapi import REFUSALS
from tests import described
from tests.wire import openapi as fuzz

PAGE = "docs"  # for people
# Their answers are those of other paths, or 404.
ALIASES = (
    "UnknownPathView",
    ImageRootViewSet.__name__,
    RedirectView.__name__,
    proxy_check.__name__,
    published.__name__,  # files, not an API
)
METHODS = {"get", "head", "post", "put", "patch", "delete"}


# The document as another service would make it, by the settings of a test.
fresh = openapi.document.__wrapped__


def routes(patterns: list[Any]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if not str(pattern.pattern).startswith("admin/"):
                yield from routes(pattern.url_patterns)
        elif str(pattern.pattern) != PAGE:
            yield pattern


def methods_of(view: Any) -> set[str]:
    if "http_method_names" in getattr(view, "initkwargs", {}):  # of a ViewSet
        return set(view.initkwargs["http_method_names"])
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return {"get"}
    names = METHODS & set(view_class.http_method_names)
    return {name for name in names if hasattr(view_class, name)}


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(openapi.document()).validate()


def test_no_route_is_missing() -> None:
    found = described.operations()
    missing = [
        f"{method} {route.pattern}"
        for route in routes(get_resolver().url_patterns)
        if getattr(route.callback, "cls", route.callback).__name__ not in ALIASES
        and getattr(route.callback, "view_class", route.callback).__name__
        not in ALIASES
        for method in methods_of(route.callback) - found.get(route.callback, {}).keys()
    ]

    assert missing == []


def test_no_method_is_described_that_a_route_lacks() -> None:
    surplus = {
        view: described_methods.keys() - methods_of(view) - {"head"}
        for view, described_methods in described.operations().items()
    }

    assert not any(surplus.values())


def test_every_status_code_of_an_error_has_a_description() -> None:
    assert {*STATUS.values()} - {*REFUSALS} == {500}


def test_an_undescribed_status_code_is_noticed() -> None:
    described.check("GET", "/v2/images", 200)
    with pytest.raises(AssertionError, match="lacks 302 of GET /v2/images"):
        described.check("GET", "/v2/images", 302)


def test_nobody_has_to_sign_in_for_the_document(client: Client) -> None:
    response = client.get("/openapi.json")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json() == openapi.document()


def test_a_client_that_has_the_document_does_not_get_it_again(client: Client) -> None:
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert first["Cache-Control"] == "no-cache"


def test_the_document_is_the_same_for_every_host(client: Client) -> None:
    one, other = (
        client.get("/openapi.json", headers={"Host": host})
        for host in ("a.example", "b.example")
    )

    assert one["ETag"] == other["ETag"]


def test_apis_that_are_off_are_left_out(settings: Any) -> None:
    settings.IMAGECATALOG_V1 = False
    settings.IMAGECATALOG_AUTH = "keystone"

    document = fresh()

    assert not [p for p in document["paths"] if p.startswith(("/v1", "/identity"))]
    assert [*document["components"]["securitySchemes"]] == ["token"]


def test_properties_that_the_operator_describes_are_for_signed_in_callers(
    settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "schema-image.json"
    file.write_text('{"secret_project_code": {"type": "string"}}')
    settings.IMAGECATALOG_PROPERTY_SCHEMA = str(file)

    assert "secret_project_code" not in str(fresh())


# The page for people


def test_the_page_has_every_operation_and_schema(client: Client) -> None:
    page = client.get("/docs").content.decode()

    for path, methods in openapi.document()["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> {path}</code>" in page
    for name in openapi.document()["components"]["schemas"]:
        assert f'id="schema-{name}"' in page


def test_names_in_texts_are_marked_as_markdown_and_shown_as_code(
    client: Client,
) -> None:
    document = client.get("/openapi.json").content.decode()
    page = client.get("/docs").content.decode()

    assert "``" not in document
    assert "The status of the image is then `uploading`." in document
    assert "`" not in page
    assert "status of the image is then <code>uploading</code>." in page


def test_the_links_of_the_page_lead_somewhere(client: Client) -> None:
    page = client.get("/docs").content.decode()
    ids = re.findall(r'\bid="([^"]+)"', page)

    assert {*re.findall(r'href="#([^"]+)"', page)} - {*ids} == set()
    assert len(ids) == len({*ids})


def test_the_page_loads_only_files_of_the_service(client: Client) -> None:
    response = client.get("/docs")

    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    for url in re.findall(r'<link[^>]* href="([^"]+)"', response.content.decode()):
        found = client.get(url)
        assert found.getvalue(), url  # which closes the file
        assert found.status_code == 200, url


# The document by which requests are made in tests/wire/test_fuzz.py


def test_no_request_by_the_document_deletes_an_image_that_exists() -> None:
    paths = fuzz.document(["an-image"])["paths"]

    for path in fuzz.DELETED:
        for method, operation in paths[path].items():
            expected = (
                fuzz.UNKNOWN_IMAGE if method == "delete" else {"enum": ["an-image"]}
            )
            assert operation["parameters"][0]["name"] == "image_id"
            assert operation["parameters"][0]["schema"] == expected


def test_headers_stay_as_they_are_described() -> None:
    paths = fuzz.document(["an-image"])["paths"]

    for path, methods in openapi.document()["paths"].items():
        for method, operation in methods.items():
            headers = [
                p for p in operation.get("parameters", ()) if p["in"] == "header"
            ]
            changed = paths[path][method].get("parameters", ())
            assert [one for one in headers if one not in changed] == []
