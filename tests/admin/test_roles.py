"""Roles: what a viewer sees and cannot change, by any URL of the admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from images.admin import roles
from images.admin.actions import ACTIONS
from images.models import Image, ListOptions, SavedFilter, Statistics, Status
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]

# Their own account and session are theirs.
OWN = {"admin:logout", "admin:login", "admin:password_change"}


def names(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(route, name) of everything below."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, f"admin:{pattern.name}"


def addresses(image: Image, location_id: int, user: User) -> Iterator[tuple[str, str]]:
    """(name, path) of every URL of the admin, filled in with what exists."""
    for route, name in names(admin.site.urls[0]):
        for verb in ACTIONS if "<str:verb>" in route else [""]:
            path = (
                route.replace("<str:image_id>", image.pk)
                .replace("<int:location_id>", str(location_id))
                .replace("<str:verb>", verb)
                .replace("<str:what>", "add")
                .replace("<uuid:transfer_id>", str(uuid4()))
                .replace("<path:object_id>", image.pk if "images_" in name else "1")
                .replace("<int:content_type_id>", "1")
                .replace("<id>", str(user.pk))
            )
            if "<" not in path and "(" not in path:
                yield name, f"/admin/{path}"


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


def test_the_enumeration_knows_every_url() -> None:
    resolver = get_resolver()
    found = {name for _route, name in names(admin.site.urls[0])}

    assert resolver is not None
    assert {
        "admin:index",
        "admin:images_image_move",
        "admin:images_image_change",
    } <= found
    assert len(found) > 20


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
    user = User.objects.get(username="viewer")
    found = addresses(image, location.pk if location else 1, user)
    paths = [path for _, path in found if path.startswith(LIST)]
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
    image, *_ = [make_image(status, name="disk") for status in Status.values]
    user = User.objects.get(username="viewer")
    paths = [
        path
        for name, path in addresses(image, 1, user)
        if name not in OWN and not path.startswith(LIST)
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
