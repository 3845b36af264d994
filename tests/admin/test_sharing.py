"""Members on the page of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from imagecatalog.identity.models import Project
from images.models import Image, Member
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]


@pytest.fixture(autouse=True)
def _friends(db: None) -> None:
    Project.objects.create(id="friends", name="Friends")


def change(client: Client, image: Image, what: str, project: str = "friends") -> Any:
    address = f"{LIST}{image.pk}/members/{what}/"
    return client.post(address, {"project": project}, follow=True)


def test_a_member_is_added_accepted_and_removed(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")

    assert "friends" in change(root, image, "add").content.decode()
    change(root, image, "accepted")
    assert Member.objects.get().status == "accepted"
    change(root, image, "remove")
    assert not Member.objects.exists()


def test_why_a_member_was_refused_is_said(root: Client, make_image: MakeImage) -> None:
    image = make_image("active", visibility="private")

    page = change(root, image, "add").content.decode()

    assert "Only shared images have members." in page
    assert not Member.objects.exists()


@pytest.mark.parametrize("what", ["add", "accepted", "remove"])
def test_an_operator_does_not_share(
    signed_in: Callable[..., Client], make_image: MakeImage, what: str
) -> None:
    image = make_image("active")

    assert change(signed_in("operator"), image, what).status_code == 403


def test_members_are_changed_by_post_only(root: Client, make_image: MakeImage) -> None:
    image = make_image("active")

    assert root.get(f"{LIST}{image.pk}/members/add/").status_code == 405
