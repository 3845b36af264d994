"""Every page is there, in every status of an image; and for ids that nobody has none is a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver

from images.models import Image, Status
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]


@pytest.mark.parametrize("status", Status.values)
def test_an_image_has_a_page_in_every_status(
    root: Client, make_image: MakeImage, status: str
) -> None:
    image = make_image(status, name="disk", tags=["a"], properties={"os_type": "linux"})

    response = root.get(f"{LIST}{image.pk}/change/")

    assert response.status_code == 200
    assert image.pk in response.content.decode()


@pytest.mark.parametrize(
    "path",
    ["/admin/", LIST, f"{LIST}add/", f"{LIST}add/metadata/", f"{LIST}add/location/"],
)
def test_a_page_is_there(root: Client, make_image: MakeImage, path: str) -> None:
    for status in Status.values:
        make_image(status)

    assert root.get(path).status_code == 200


# Searches that would take long


@pytest.mark.parametrize("page", [LIST, "/admin/auth/user/"])
@pytest.mark.parametrize("query", ["q=" + "a+" * 251, "o=" + "1." * 2048])
def test_a_long_search_is_refused(root: Client, page: str, query: str) -> None:
    assert root.get(f"{page}?{query}").status_code == 400


@pytest.mark.parametrize("page", [LIST, "/admin/auth/user/"])
def test_a_search_of_many_words_is_none(root: Client, page: str) -> None:
    assert root.get(f"{page}?q={'a+' * 250}").status_code == 200


# Ids that nobody has


def routes(
    patterns: list[URLPattern | URLResolver], before: str = "/admin/"
) -> Iterator[str]:
    for it in patterns:
        route = before + str(it.pattern)
        if isinstance(it, URLResolver):
            yield from routes(it.url_patterns, route)
        elif re.search("<(str:|path:)?[a-z_]*id>", route):
            yield route


def address(route: str, hostile: str) -> str:
    for kind, value in (("int", "9" * 30), ("uuid", str(uuid4()))):
        route = re.sub(f"<{kind}:[a-z_]+>", value, route)
    return re.sub("<(str:|path:)?[a-z_]+>", hostile, route).replace("^", "")


WITH_IDS = sorted({*routes(admin.site.get_urls())})


def test_there_are_such_pages() -> None:
    assert "/admin/images/image/<path:object_id>/delete/" in WITH_IDS
    assert "/admin/images/image/<str:image_id>/upload/" in WITH_IDS
    assert len(WITH_IDS) > 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        *("a/b", "//", "a%2Fb", "..", "_2F", "_zz", "_00", "'", '"', "%25s", "{}"),
        *("%00", "a%0Ab", "%ED%A0%80", "x" * 2000, "9" * 400, "1e400", "-1"),
    ],
)
def test_no_page_fails_of_an_id_that_nobody_has(root: Client, hostile: str) -> None:
    root.raise_request_exception = False

    failed = [
        (method, path, response.status_code)
        for path in (address(route, hostile) for route in WITH_IDS)
        for method in ("GET", "POST")
        if (response := root.generic(method, path)).status_code >= 500
    ]

    assert failed == []


LISTS = [
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    for model in admin.site._registry
]


@pytest.mark.parametrize("path", LISTS)
def test_a_value_that_no_database_takes_is_refused(root: Client, path: str) -> None:
    action = {"action": "delete_selected", "_selected_action": "\0", "index": "0"}

    for query in ("q=%00", "id__exact=%00", "name=%00", "%00=1"):
        assert root.get(f"{path}?{query}").status_code == 400
    assert root.post(path, action).status_code == 400
    assert root.get(f"{path}%00/change/").status_code == 404
