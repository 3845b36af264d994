"""Fields in which a project or a user is chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from imagecatalog.identity.models import Project, RoleAssignment
from images.models import Family, Image, Job, Member, MetadefNamespace, QuotaLimit
from tests.admin.conftest import LIST, shown_form

MakeImage = Callable[..., Image]
NO_PROJECT = "There is no project “no-such”."


@pytest.fixture(autouse=True)
def lab(db: None) -> Project:
    return Project.objects.create(id="id-of-lab", name="lab")


def share(root: Client, image: Image, **fields: str) -> Any:
    return root.post(f"{LIST}{image.pk}/members/add/", fields, follow=True)


def save(root: Client, image: Image, **fields: str) -> Any:
    """Submit the form of an image with the values that the page shows, and ``fields``."""
    form = shown_form(root, image) | fields
    return root.post(f"{LIST}{image.pk}/edit/", form, follow=True)


@pytest.mark.parametrize("text", ["lab", " id-of-lab "])
def test_an_image_is_shared_with_a_project_by_its_name_or_id(
    root: Client, make_image: MakeImage, text: str
) -> None:
    page = share(root, make_image("active"), project=text).content.decode()

    assert Member.objects.get().member == "id-of-lab"
    assert "Shared with project lab." in page


def test_an_image_is_not_shared_with_a_project_that_does_not_exist(
    root: Client, make_image: MakeImage
) -> None:
    page = share(root, make_image("active"), project="no-such").content.decode()

    assert not Member.objects.exists()
    assert NO_PROJECT in page
    assert 'value="no-such"' in page


def test_an_unknown_name_is_answered_with_similar_ones(
    root: Client, make_image: MakeImage
) -> None:
    page = share(root, make_image("active"), project="LA").content.decode()

    assert "Did you mean lab?" in page


@pytest.mark.parametrize("mode", ["keystone", "none"])
def test_a_project_that_is_managed_elsewhere_is_confirmed_before_it_is_used(
    root: Client, make_image: MakeImage, settings: Any, mode: str
) -> None:
    settings.IMAGECATALOG_AUTH = mode
    image = make_image("active")

    asked = share(root, image, project="no-such").content.decode()
    other = share(root, image, project="no-such", project_confirmed="another")
    before = Member.objects.count()
    share(root, image, project="no-such", project_confirmed="no-such")

    assert 'name="project_confirmed" value="no-such"' in asked
    assert "project_confirmed" in other.content.decode()
    assert before == 0
    assert Member.objects.get().member == "no-such"


def test_an_image_gets_an_owner_by_name(root: Client, make_image: MakeImage) -> None:
    image = make_image("active", owner="project-a")

    save(root, image, owner="lab")

    assert Image.objects.get().owner == "id-of-lab"
    assert 'value="lab"' in root.get(f"{LIST}{image.pk}/edit/").content.decode()


def test_an_image_keeps_its_owner_rather_than_get_an_unknown_one(
    root: Client, make_image: MakeImage
) -> None:
    page = save(root, make_image("active", owner="id-of-lab"), owner="no-such")

    assert Image.objects.get().owner == "id-of-lab"
    assert NO_PROJECT in page.content.decode()


def test_an_owner_that_is_unknown_since_long_does_not_hinder_other_changes(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", owner="of-a-former-time")

    save(root, image, name="renamed")

    image.refresh_from_db()
    assert (image.name, image.owner) == ("renamed", "of-a-former-time")


def test_an_owner_that_is_shown_by_name_counts_as_unchanged(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", owner="id-of-lab")

    save(root, image, owner="id-of-lab")

    assert not image.events.filter(verb="update").exists()


@pytest.mark.parametrize("text", ["lab", "id-of-lab"])
def test_the_list_is_filtered_by_the_name_or_id_of_a_project(
    root: Client, make_image: MakeImage, text: str
) -> None:
    make_image("active", name="of-lab", owner="id-of-lab")
    make_image("active", name="of-others", owner="project-b")

    page = root.get(LIST, {"owner": text}).content.decode()

    assert "of-lab" in page
    assert "of-others" not in page


def test_a_filter_by_an_unknown_project_says_so(root: Client) -> None:
    assert NO_PROJECT in root.get(LIST, {"owner": "no-such"}).content.decode()


FORMS = [
    (
        "images/family/add/",
        {
            "name": "debian",
            "architecture": "x86_64",
            "scope": "project",
            "naming": "same",
            "name_separator": " ",
            "hide_old": "on",
        },
        "owner",
        Family,
    ),
    (
        "images/metadefnamespace/add/",
        {"namespace": "Own", "visibility": "private"},
        "owner",
        MetadefNamespace,
    ),
    (
        "images/quotalimit/add/",
        {"name": "image_count_total", "value": 3},
        "project",
        QuotaLimit,
    ),
]


@pytest.mark.parametrize(("page", "values", "field", "model"), FORMS)
def test_other_forms_take_names_and_refuse_unknown_projects_too(
    root: Client, page: str, values: dict[str, Any], field: str, model: Any
) -> None:
    refused = root.post(f"/admin/{page}", values | {field: "no-such"})
    before = model.objects.count()
    root.post(f"/admin/{page}", values | {field: "lab"})

    assert NO_PROJECT in refused.content.decode()
    assert before == 0
    assert getattr(model.objects.get(), field) == "id-of-lab"


def test_a_role_is_given_to_a_user_by_name(root: Client) -> None:
    alice = User.objects.create_user("alice")
    form: dict[str, Any] = {
        "name": "lab",
        "assignments-TOTAL_FORMS": 1,
        "assignments-INITIAL_FORMS": 0,
        "assignments-0-role": "reader",
    }
    page = "/admin/identity/project/id-of-lab/change/"

    refused = root.post(page, form | {"assignments-0-user": "nobody"})
    root.post(page, form | {"assignments-0-user": "alice"})

    assert "There is no user “nobody”." in refused.content.decode()
    assert RoleAssignment.objects.get().user == alice


def test_names_are_suggested_that_contain_what_is_typed(root: Client) -> None:
    Project.objects.create(name="archive")

    projects = root.get("/admin/identity/project/suggest/", {"term": "LA"}).json()
    users = root.get("/admin/auth/user/suggest/", {"term": "oo"}).json()

    assert projects == {"names": ["lab"]}
    assert users == {"names": ["root"]}


def test_names_of_users_are_only_for_those_who_can_view_users(
    signed_in: Callable[..., Client],
) -> None:
    viewer = signed_in("viewer")

    assert viewer.get("/admin/auth/user/suggest/").status_code == 403
    assert viewer.get("/admin/identity/project/suggest/").status_code == 200


@pytest.mark.parametrize("text", ["lab", "id-of-lab"])
def test_limits_and_jobs_are_found_by_the_name_or_id_of_a_project(
    root: Client, text: str
) -> None:
    QuotaLimit.objects.create(project="id-of-lab", name="image_count_total", value=3)
    Job.objects.create(kind="image_import", project="id-of-lab", actor="alice")
    other = Project.objects.create(name="of-others")
    QuotaLimit.objects.create(project=other.pk, name="image_count_total", value=3)
    Job.objects.create(kind="image_import", project=other.pk, actor="bob")

    for page in ("quotalimit", "job"):
        found = root.get(f"/admin/images/{page}/", {"q": text}).content.decode()
        assert ">lab<" in found, page
        assert ">of-others<" not in found, page
