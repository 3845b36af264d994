"""Moves: offered where they are possible, done for whom they are permitted, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from images.admin.actions import ACTIONS
from images.models import Event, Image, Status
from images.operations import manual_transitions
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]
LEGAL = [
    ("active", "deactivate", "deactivated"),
    ("deactivated", "reactivate", "active"),
    ("saving", "fail", "queued"),
    ("uploading", "fail", "queued"),
    ("importing", "fail", "queued"),
    ("active", "delete", "pending_delete"),
    ("deactivated", "delete", "pending_delete"),
    ("queued", "delete", "deleted"),
    ("killed", "delete", "deleted"),
    ("saving", "delete", "deleted"),
    ("pending_delete", "restore", "active"),
    ("pending_delete", "scrub", "deleted"),
]


def status_of(image: Image) -> str:
    return str(Image.objects.get(pk=image.pk).status)


def move(client: Client, image: Image, verb: str, **form: str) -> Any:
    return client.post(f"{LIST}{image.pk}/move/{verb}/", {"reason": "a test"} | form)


@pytest.mark.parametrize(("before", "verb", "after"), LEGAL)
def test_a_legal_move_is_made(
    root: Client, make_image: MakeImage, before: str, verb: str, after: str
) -> None:
    image = make_image(before)

    response = move(root, image, verb)

    assert response["Location"] == f"{LIST}{image.pk}/change/"
    assert status_of(image) == after


def test_an_action_records_its_actor_interface_and_reason(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")

    move(root, image, "deactivate", reason="a hole in its kernel")

    event = Event.objects.get(image=image)
    assert (event.actor, event.interface) == ("root", "admin")
    assert event.reason == "a hole in its kernel"
    assert event.request_id.startswith("req-")


def test_a_move_without_a_reason_is_not_made(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")

    response = move(root, image, "deactivate", reason=" ")

    assert b"This field is required" in response.content
    assert status_of(image) == "active"


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("verb", ACTIONS)
def test_what_is_offered_is_what_the_life_cycle_allows(
    root: Client, make_image: MakeImage, status: str, verb: str
) -> None:
    image = make_image(status)
    possible = verb in manual_transitions.possible_transitions(image.pk).values()

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()

    assert (f'href="{LIST}{image.pk}/move/{verb}/"' in page) == possible


def test_the_deletion_of_a_protected_image_is_not_offered_and_refused(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", protected=True)

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    answer = root.post(
        f"{LIST}{image.pk}/move/delete/", {"reason": "a test"}, follow=True
    )

    assert f'href="{LIST}{image.pk}/move/delete/"' not in page
    assert "is protected and cannot be deleted" in answer.content.decode()
    assert status_of(image) == "active"


def test_an_illegal_move_is_refused_with_a_sentence(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("queued")

    answer = root.post(
        f"{LIST}{image.pk}/move/deactivate/", {"reason": "a test"}, follow=True
    )

    assert "Not allowed to deactivate image" in answer.content.decode()
    assert status_of(image) == "queued"


@pytest.mark.parametrize(("before", "verb", "after"), LEGAL)
def test_each_move_needs_its_own_permission(
    client: Client, make_image: MakeImage, before: str, verb: str, after: str
) -> None:
    image = make_image(before)
    user = User.objects.create_user("ann", is_staff=True)
    others = Permission.objects.exclude(codename=f"{verb}_image")
    user.user_permissions.set(others)
    client.force_login(user, "imagecatalog.identity.backends.Passwords")

    assert move(client, image, verb).status_code == 403
    assert status_of(image) == before

    user.user_permissions.add(Permission.objects.get(codename=f"{verb}_image"))

    assert move(client, image, verb).status_code == 302
    assert status_of(image) == after


def test_a_move_without_the_csrf_token_is_refused(
    signed_in: Callable[..., Client], make_image: MakeImage
) -> None:
    image = make_image("active")
    client = signed_in(enforce_csrf_checks=True)

    assert move(client, image, "deactivate").status_code == 403
    assert status_of(image) == "active"


def test_a_move_that_does_not_exist_is_not_found(
    root: Client, make_image: MakeImage
) -> None:
    assert move(root, make_image(), "mark_received").status_code == 404


def test_an_image_that_does_not_exist_is_not_found(root: Client) -> None:
    response = root.post(f"{LIST}no-such-image/move/delete/", {"reason": "a test"})

    assert response.status_code == 404
