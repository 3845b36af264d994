"""Families in the browser admin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity.models import Project
from images import families
from images.access import Caller, operator
from images.models import Family, FamilyEvent, FamilyVersion, Image
from images.publishing import duties
from tests.api.published.conftest import work

FAMILIES = "/admin/images/family/"
FORM = {
    "name": "debian-13",
    "owner": "project-a",
    "architecture": "x86_64",
    "scope": "project",
    "naming": "same",
    "name_separator": " ",
    "hide_old": "on",
    "template": '{"min_disk": 2}',
}


@pytest.fixture(autouse=True)
def _project(db: None) -> None:
    Project.objects.create(id="project-a", name="Project A")


@pytest.fixture
def family(member: Caller, db: None) -> Family:
    return families.create(member, {"name": "debian-13", "architecture": "x86_64"})


@pytest.fixture
def add(family: Family, member: Caller, make_image: Any) -> Callable[..., Image]:
    def add(label: str, promote: bool = False) -> Image:
        image: Image = make_image("active", name="own")
        families.add(member, family.name, image.pk, label=label, promote=promote)
        return image

    return add


def page(family: Family, path: str = "change/") -> str:
    return f"{FAMILIES}{family.pk}/{path}"


def current() -> str:
    family = Family.objects.select_related("current").get()
    return family.current.label if family.current else ""


def text(response: Any) -> str:
    content: str = response.content.decode()
    return content


def test_a_family_is_added_and_changed(root: Client) -> None:
    root.post(f"{FAMILIES}add/", FORM)

    family = Family.objects.get()
    assert (family.name, family.template) == ("debian-13", {"min_disk": 2})
    assert family.name_separator == " "
    event = FamilyEvent.objects.get()
    assert (event.verb, event.actor, event.interface) == ("create", "root", "admin")

    root.post(page(family), FORM | {"title": "Debian 13", "publish": "on"})
    family = Family.objects.get()
    assert (family.title, family.publish) == ("Debian 13", True)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "Debian"}, "Invalid name"),
        ({"hide_old": ""}, "need other names"),
        ({"template": '{"x": 1}'}, "is not known"),
    ],
)
def test_a_refused_value_is_explained_on_the_form(
    values: dict[str, str], sentence: str, root: Client
) -> None:
    response = root.post(f"{FAMILIES}add/", FORM | values)

    assert sentence in text(response)
    assert not Family.objects.exists()


def test_the_form_saves_only_what_the_user_has_changed(
    root: Client, family: Family, member: Caller
) -> None:
    shown = root.get(page(family))
    fields = shown.context["adminform"].form
    first = {it.html_initial_name: it.value() for it in fields if it.value()}
    assert all(f'name="{name}"' in text(shown) for name in first)
    first["initial-template"] = "{}"
    families.update(member, family.name, {"title": "theirs", "hide_old": True})

    changed = FORM | first | {"description": "mine", "title": "", "template": "{}"}
    root.post(page(family), changed)

    family.refresh_from_db()
    assert (family.title, family.description) == ("theirs", "mine")
    event = FamilyEvent.objects.order_by("-pk")[0]
    assert set(event.detail) == {"description"}


def test_a_save_is_one_change_and_its_refusal_is_shown(
    root: Client, family: Family, add: Any, settings: Any, monkeypatch: Any
) -> None:
    add("1", promote=True)
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 1
    monkeypatch.setattr("images.request_rate.BURST", 1)

    assert root.post(page(family), FORM | {"name": "first"}).status_code == 302
    refused = root.post(page(family), FORM | {"name": "second"})

    assert "too often" in text(refused)
    assert Family.objects.get().name == "first"


def test_the_page_of_a_family_lists_its_versions_and_history(
    root: Client, family: Family, add: Any
) -> None:
    image = add("20260131", promote=True)

    shown = text(root.get(page(family)))

    assert "20260131" in shown
    assert image.pk in shown
    assert "promote" in shown
    assert "current" in shown


def test_a_promotion_is_previewed_and_made_with_a_reason(
    root: Client, family: Family, add: Any
) -> None:
    add("1", promote=True)
    image = add("2")
    path = page(family, "promote/version/2/")

    preview = text(root.get(path))
    assert image.pk in preview
    assert "os_hidden" in preview
    assert "<del>1</del> &rarr; <ins>2</ins>" in preview
    assert current() == "1"

    assert "This field is required" in text(root.post(path, {"reason": ""}))
    root.post(path, {"reason": "tested"})
    assert current() == "2"
    last = FamilyEvent.objects.order_by("-pk")[0]
    assert (last.verb, last.reason, last.actor) == ("promote", "tested", "root")


def test_a_rollback_can_withdraw_the_current_version(
    root: Client, family: Family, add: Any
) -> None:
    add("1", promote=True)
    add("2", promote=True)

    root.post(page(family, "do/rollback/"), {"reason": "bad", "withdraw": "on"})

    assert current() == "1"
    assert FamilyVersion.objects.get(label="2").withdrawn


def test_what_is_not_possible_is_said_and_has_no_button(
    root: Client, family: Family, add: Any
) -> None:
    add("1", promote=True)

    shown = text(root.get(page(family, "do/rollback/")))

    assert "no other version" in shown
    assert 'type="submit" class="default' not in shown


def test_images_are_added_withdrawn_readmitted_and_removed(
    root: Client, family: Family, make_image: Any
) -> None:
    image = make_image("active")
    given = {"image": image.pk, "label": "1", "reason": "new"}
    root.post(page(family, "do/add/"), given)

    root.post(page(family, "withdraw/version/1/"), {"reason": "x"})
    assert FamilyVersion.objects.get().withdrawn
    root.post(page(family, "readmit/version/1/"), {"reason": "x"})
    assert not FamilyVersion.objects.get().withdrawn
    root.post(page(family, "remove/version/1/"), {"reason": "x"})
    assert not FamilyVersion.objects.exists()


def test_a_family_is_deleted_after_a_look_at_its_images(
    root: Client, family: Family, add: Any
) -> None:
    image = add("1", promote=True)

    shown = text(root.get(page(family, "delete/"), follow=True))
    assert image.pk in shown
    root.post(page(family, "do/delete/"), {"reason": "x"})

    assert not Family.objects.exists()


def test_the_page_warns_of_other_images_of_the_name(
    root: Client, family: Family, add: Any, make_image: Any
) -> None:
    add("1", promote=True)
    assert "Another image has the name" not in text(root.get(page(family)))

    other = make_image(name="debian-13")

    shown = text(root.get(page(family)))
    assert "Another image has the name debian-13" in shown
    assert other.pk in shown


def test_the_page_of_an_image_leads_to_its_family(
    root: Client, family: Family, add: Any
) -> None:
    image = add("1", promote=True)
    path = f"/admin/images/image/{image.pk}/"

    shown = text(root.get(f"{path}change/"))
    assert page(family) in shown
    assert "Promote another version first" in shown  # why it cannot be deleted
    offered = text(root.get(f"{path}move/deactivate/"))
    assert "It stays the current image of family debian-13" in offered
    assert page(family, "do/rollback/") in offered


def test_a_viewer_sees_families_and_changes_nothing(
    signed_in: Any, family: Family, add: Any
) -> None:
    add("1")
    viewer = signed_in("viewer")

    assert viewer.get(FAMILIES).status_code == 200
    assert page(family, "promote/version/1/") not in text(viewer.get(page(family)))
    for path in ("promote/version/1/", "do/delete/", "do/add/"):
        assert viewer.post(page(family, path), {"reason": "x"}).status_code == 403
    assert viewer.get(f"{FAMILIES}add/").status_code == 403


def test_an_operator_promotes_but_does_not_change_families(
    signed_in: Any, family: Family, add: Any
) -> None:
    add("1")
    operator = signed_in("operator")

    operator.post(page(family, "promote/version/1/"), {"reason": "x"})

    assert current() == "1"
    assert operator.post(page(family, "do/add/"), {}).status_code == 403


def test_only_who_may_promote_adds_an_image_as_current(
    root: Client, signed_in: Any, family: Family, make_image: Any
) -> None:
    editor = signed_in("viewer")
    permission = Permission.objects.get(codename="change_family")
    User.objects.get(username="viewer").user_permissions.add(permission)
    path = page(family, "do/add/")
    given = {"image": make_image("active").pk, "label": "1", "reason": "new"}

    assert "promote" in text(root.get(path))
    assert "promote" not in text(editor.get(path))
    assert editor.post(path, given | {"promote": "on"}).status_code == 403
    assert editor.post(path, given).status_code == 302
    assert current() == ""


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_asks_as_often_for_many_families_as_for_few(
    count: int, root: Client, member: Caller, db: None
) -> None:
    for number in range(count):
        document = {"name": f"family-{number}", "architecture": "x86_64"}
        families.create(member, document)

    with CaptureQueriesContext(connection) as queries:
        shown = text(root.get(FAMILIES))

    assert shown.count(">family-") == count
    assert len(queries) <= 8
    assert not [it for it in queries if '"images_family"."template"' in it["sql"]]


# Publication


@pytest.fixture
def published(settings: Any, family: Family) -> Family:
    """The family, which is public and is to be published."""
    settings.IMAGECATALOG_PUBLISH = "public"
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example.org"
    values = {"scope": "public", "publish": True}
    return families.update(operator("command"), str(family.pk), values).family


def test_the_page_links_to_what_is_published(
    root: Client, published: Family, add: Any
) -> None:
    image = add("1", promote=True)
    known = {"sha256": hashlib.sha256(b"the bytes of an image").hexdigest()}
    Image.objects.filter(pk=image.pk).update(visibility="public", digests=known)
    work()

    shown = text(root.get(page(published)))

    assert "1 version is published" in shown
    assert 'href="https://images.example.org/pub/images/debian-13/"' in shown
    assert "The current one is 1." in shown
    assert "is being prepared" not in shown


def test_the_page_says_what_a_version_waits_for(
    root: Client, published: Family, add: Any
) -> None:
    add("1", promote=True)
    duties.prepare()
    duties.publish()

    shown = text(root.get(page(published)))

    assert "Nothing is published of this family yet." in shown
    assert "Version 1 is being prepared. Its digests are being computed." in shown


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "visibility “private”. Make it public."),
        ({"status": "deactivated"}, "Only active images are published."),
    ],
)
def test_the_page_says_what_hinders_the_publication(
    root: Client,
    published: Family,
    add: Any,
    change: dict[str, str],
    sentence: str,
) -> None:
    image = add("1", promote=True)
    Image.objects.filter(pk=image.pk).update(visibility="private", **change)

    assert sentence in text(root.get(page(published)))


@pytest.mark.parametrize(
    ("mode", "scope", "sentence"),
    [
        ("off", "public", "IMAGECATALOG_PUBLISH is off."),
        ("public", "project", "only if IMAGECATALOG_PUBLISH is signed-in."),
        ("public", "public", "Promote a version"),
    ],
)
def test_the_page_says_why_the_service_publishes_nothing_of_a_family(
    root: Client, published: Family, settings: Any, mode: str, scope: str, sentence: str
) -> None:
    settings.IMAGECATALOG_PUBLISH = mode
    Family.objects.update(scope=scope)

    assert sentence in text(root.get(page(published)))


def test_a_family_that_is_not_to_be_published_has_no_such_section(
    root: Client, family: Family
) -> None:
    assert 'id="publication"' not in text(root.get(page(family)))
