"""Roles: what a viewer sees and cannot change, by any URL of the admin."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client

from images.admin import roles
from images.models import Image, ListOptions, SavedFilter, Statistics, Status
from tests.admin.conftest import LIST
from tests.admin.urls import every, fill

MakeImage = Callable[..., Image]

# Their own account and session are theirs.
NO_ROW = str(uuid4())
OWN = {"admin:logout", "admin:login", "admin:password_change"}


def everything() -> str:
    """The content of every table but sessions, kept counts and users' own choices for the list."""
    own = {Session, Statistics, ListOptions, SavedFilter}
    models = set(apps.get_models()) - own
    models = sorted(models, key=lambda model: model._meta.label)
    rows = [row for model in models for row in model._base_manager.order_by("pk")]
    return serializers.serialize("json", rows)


@pytest.fixture
def viewer(signed_in: Callable[..., Client]) -> Client:
    return signed_in("viewer")


def try_everything(
    viewer: Client, paths: list[str], image: Image, rare_methods: bool = True
) -> None:
    form = {
        "reason": "forged",
        "name": "forged",
        "visibility": "public",
        "min_disk": "7",
        "min_ram": "7",
        "url": "http://127.0.0.1/x",
        "project": "forged",
        "property_name": "p",
        "property_value": "forged",
        "action": "delete",
        "confirmed": "1",
        "select_across": "1",
        "_selected_action": image.pk,
        "post": "yes",
        "username": "forged",
        "is_superuser": "on",
        "is_staff": "on",
    }
    for path in paths:
        viewer.get(path, form)
        viewer.post(path, form)
        for method in (viewer.put, viewer.patch, viewer.delete):
            if rare_methods:
                method(path)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("status", Status.values)
def test_a_viewer_can_change_nothing_by_any_url(
    viewer: Client, make_image: MakeImage, status: str
) -> None:
    image = make_image(status, name="disk", tags=["a"], properties={"p": "v"})
    location = image.locations.first()
    keys = {
        "image_id": image.pk,
        "images_image": image.pk,
        "location_id": str(location.pk if location else 1),
        **dict.fromkeys(("transfer_id", "change_id", "family_id", "job_id"), NO_ROW),
        **dict.fromkeys(("policy_id", "run_id", "id"), "1"),
    }
    paths = [url.path for url in every(keys) if url.path.startswith(LIST)]
    before = everything()

    # No view looks at the image before it refuses a method that it does not have.
    try_everything(viewer, paths, image, rare_methods=status == Status.ACTIVE)

    assert len(paths) > 20
    assert everything() == before


@pytest.mark.once
def test_a_viewer_can_change_nothing_by_a_url_of_no_image(
    viewer: Client, make_image: MakeImage
) -> None:
    """Try these URLs once, with images in every status: they concern no single image."""
    image, *_ = [make_image(status, name="disk") for status in ("active", *Status)]
    keys = fill(User.objects.get(username="viewer"), image)
    paths = [
        url.path
        for url in every(keys)
        if url.name not in OWN and not url.path.startswith(LIST)
    ]
    before = everything()

    try_everything(viewer, paths, image)

    assert len(paths) > 50
    assert everything() == before


def test_a_viewer_sees_lists_and_pages_without_buttons(
    viewer: Client, make_image: MakeImage
) -> None:
    image = make_image("active", name="disk")

    page = viewer.get(f"{LIST}{image.pk}/change/").content.decode()

    assert "disk" in viewer.get(LIST).content.decode()
    assert "/move/" not in page
    assert "Your role does not allow this action." in page
    assert 'value="Save"' not in page


def test_a_viewer_is_not_told_where_data_is_kept(
    viewer: Client, root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")
    key = image.locations.get().key

    assert key not in viewer.get(f"{LIST}{image.pk}/data/").content.decode()
    assert key in root.get(f"{LIST}{image.pk}/data/").content.decode()


def test_who_is_not_staff_sees_nothing(client: Client, make_image: MakeImage) -> None:
    user = User.objects.create_user("bob")
    client.force_login(user, "imagecatalog.identity.backends.Passwords")

    for path in ("/admin/", LIST, f"{LIST}live/", "/admin/live/"):
        assert client.get(path).status_code == 302


def test_staff_without_a_role_sees_no_image(
    client: Client, make_image: MakeImage
) -> None:
    image = make_image("active", name="a secret name")
    user = User.objects.create_user("bob", is_staff=True)
    client.force_login(user, "imagecatalog.identity.backends.Passwords")

    for path in (LIST, f"{LIST}live/", f"{LIST}{image.pk}/change/", "/admin/live/"):
        assert client.get(path).status_code == 403
    assert b"tiles" not in client.get("/admin/").content


def test_a_changed_role_stays_changed(db: None) -> None:
    group = Group.objects.get(name="operator")
    group.permissions.clear()
    Group.objects.filter(name="viewer").delete()

    roles.ensure()

    assert not group.permissions.exists()
    assert Group.objects.get(name="viewer").permissions.count() == len(roles.VIEWER)


def test_the_roles_name_permissions_that_exist(db: None) -> None:
    for name, codenames in roles.ROLES.items():
        group = Group.objects.get(name=name)
        found = group.permissions.values_list("codename", flat=True)
        assert sorted(found) == sorted(codenames)
