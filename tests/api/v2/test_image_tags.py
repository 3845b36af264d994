from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from images.models import Image


def path(image: Image, tag: str) -> str:
    return f"/v2/images/{image.pk}/tags/{quote(tag, safe='')}"


def tags() -> Any:
    return Image.objects.get().tags


def test_a_tag_is_put_on_and_taken_off(api: Any, make_image: Any) -> None:
    image = make_image(tags=["b"])

    put = api.member.put(path(image, "a"))
    assert (put.status_code, put.content, tags()) == (204, b"", ["a", "b"])

    taken = api.member.delete(path(image, "b"))
    assert (taken.status_code, taken.content, tags()) == (204, b"", ["a"])


def test_a_tag_can_be_put_again(api: Any, make_image: Any) -> None:
    image = make_image()

    codes = [api.member.put(path(image, "a")).status_code for _ in range(2)]

    assert (codes, tags()) == ([204, 204], ["a"])


def test_a_tag_that_is_not_there_is_404(api: Any, make_image: Any) -> None:
    assert api.member.delete(path(make_image(), "a")).status_code == 404


@pytest.mark.parametrize(
    "tag", ["é", "日本", "a b", " ", "a+b", "a%b", ".", "?", "tags", "a/b", "/a"]
)
def test_a_tag_may_have_any_characters(tag: str, api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.member.put(path(image, tag)).status_code == 204
    assert api.member.get(f"/v2/images/{image.pk}").json()["tags"] == [tag]
    assert api.member.delete(path(image, tag)).status_code == 204


@pytest.mark.parametrize("tag", ["x" * 256, "\U0001f600", "nul\0"])
def test_a_tag_that_cannot_be_kept_is_400(tag: str, api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.member.put(path(image, tag)).status_code == 400
    assert api.member.delete(path(image, tag)).status_code == 400


def test_a_tag_of_255_characters_can_be_kept(api: Any, make_image: Any) -> None:
    assert api.member.put(path(make_image(), "é" * 255)).status_code == 204


def test_no_tag_at_all_is_404(api: Any, make_image: Any) -> None:
    assert api.member.put(path(make_image(), "")).status_code == 404


def test_a_tag_takes_no_body(api: Any, make_image: Any) -> None:
    url = path(make_image(tags=["a"]), "a")

    assert api.member.put(url, b"x").status_code == 400
    assert api.member.delete(url, b"x").status_code == 400
    assert tags() == ["a"]


def test_the_129th_tag_is_413(api: Any, make_image: Any) -> None:
    image = make_image(tags=sorted(f"t{number}" for number in range(128)))

    response = api.member.put(path(image, "one-more"))

    assert response.status_code == 413
    assert "Attempted: 129, Maximum: 128" in response.content.decode()
    assert api.member.put(path(image, "t5")).status_code == 204


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_a_deleted_image_is_404(status: str, api: Any, make_image: Any) -> None:
    assert api.admin.put(path(make_image(status), "a")).status_code == 404
