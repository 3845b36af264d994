"""Pages of projects: usage, limits and deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity.models import Project, RoleAssignment
from images.models import Image
from images.transfers import limits

MakeImage = Callable[..., Image]
PROJECTS = "/admin/identity/project/"
LAB = f"{PROJECTS}id-of-lab/change/"
GIB = 1 << 30


@pytest.fixture(autouse=True)
def lab(db: None) -> Project:
    return Project.objects.create(id="id-of-lab", name="lab")


def form(**changed: Any) -> dict[str, Any]:
    roles = {"assignments-TOTAL_FORMS": 0, "assignments-INITIAL_FORMS": 0}
    return {"name": "lab", **roles, **changed}


def test_the_list_shows_how_much_of_its_limit_a_project_uses(
    root: Client, make_image: MakeImage
) -> None:
    limits.set_own("id-of-lab", {"image_size_total": 4 * 1024})
    make_image("active", size=GIB, owner="id-of-lab")
    make_image("deleted", size=GIB, owner="id-of-lab")

    page = root.get(PROJECTS).content.decode()

    assert "1.0 GiB of 4.0 GiB" in page
    assert 'value="25"' in page
    assert ">1</a>" in page


@pytest.mark.parametrize("count", [1, 10])
def test_the_list_needs_as_many_queries_for_many_projects_as_for_few(
    root: Client, make_image: MakeImage, count: int
) -> None:
    for number in range(count):
        project = Project.objects.create(name=f"of-many-{number}")
        make_image("active", owner=project.pk)

    with CaptureQueriesContext(connection) as queries:
        page = root.get(PROJECTS).content.decode()

    assert page.count("of-many-") >= count
    # A slow count of the catalogue is stored, with a few queries more.
    assert len(queries) <= 24, [query["sql"][:150] for query in queries]


def test_a_project_shows_its_usage_and_its_largest_images(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="a-few-bytes", size=7, owner="id-of-lab")
    make_image("active", name="many-bytes", size=3 * GIB, owner="id-of-lab")
    make_image("active", name="of-others", size=9 * GIB, owner="another")

    page = root.get(LAB).content.decode()

    assert page.index("many-bytes") < page.index("a-few-bytes")
    assert "of-others" not in page
    assert "3.0 GiB" in page
    assert "2 images with 3 GiB" in page
    assert "?owner=id-of-lab" in page


@pytest.mark.parametrize("count", [1, 5])
def test_a_project_needs_as_many_queries_for_many_users_as_for_few(
    root: Client, lab: Project, count: int
) -> None:
    for number in range(count):
        user = User.objects.create_user(f"of-many-{number}")
        RoleAssignment.objects.create(user=user, project=lab, role="member")

    with CaptureQueriesContext(connection) as queries:
        page = root.get(LAB).content.decode()

    assert page.count("of-many-") >= count
    assert len(queries) <= 20, [query["sql"][:150] for query in queries]


@pytest.mark.parametrize(
    ("text", "limit"),
    [("500 GiB", 500 * 1024), ("unlimited", -1), ("-1", -1), ("1536M", 1536)],
)
def test_a_limit_is_set_on_the_page_of_the_project(
    root: Client, text: str, limit: int
) -> None:
    root.post(LAB, form(image_size_total=text, image_count_total="20"))

    wanted = {"image_size_total": limit, "image_count_total": 20}
    assert limits.own("id-of-lab") == wanted


def test_a_limit_that_is_emptied_is_the_default_again(root: Client) -> None:
    limits.set_own("id-of-lab", {"image_size_total": 5, "image_count_total": 7})

    shown = root.get(LAB).content.decode()
    root.post(LAB, form(image_size_total="", image_count_total="7"))

    assert 'value="5 MiB"' in shown
    assert limits.own("id-of-lab") == {"image_count_total": 7}


@pytest.mark.parametrize("text", ["ten", "1 KiB", "-2", "9999999 TiB"])
def test_what_is_no_limit_is_refused_on_the_page_of_the_project(
    root: Client, text: str
) -> None:
    page = root.post(LAB, form(image_size_total=text)).content.decode()

    assert f"“{text}” is not a limit." in page
    assert limits.own("id-of-lab") == {}


def test_the_deletion_of_a_project_names_its_images(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="debian-13", owner="id-of-lab")

    page = root.get(f"{PROJECTS}id-of-lab/delete/").content.decode()

    assert "The project owns 1 image." in page
    assert "debian-13" in page


def test_the_deletion_of_a_project_shows_what_names_of_images_hide(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="de\N{SOFT HYPHEN}bian", owner="id-of-lab")
    make_image("active", name=" ", owner="id-of-lab")

    page = root.get(f"{PROJECTS}id-of-lab/delete/").content.decode()

    assert "de[U+00AD]bian" in page
    assert "unnamed image" in page


def test_a_project_that_is_managed_elsewhere_has_a_page_with_its_usage(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="debian-13", size=GIB, owner="from-keystone")

    listed = root.get(PROJECTS).content.decode()
    front = root.get("/admin/").content.decode()
    page = root.get(f"{PROJECTS}usage/", {"project": "from-keystone"})
    absent = root.get(f"{PROJECTS}usage/", {"project": "no-such"})
    known = root.get(f"{PROJECTS}usage/", {"project": "id-of-lab"})

    assert f"{PROJECTS}usage/?project=from-keystone" in listed
    assert f"{PROJECTS}usage/?project=from-keystone" in front
    assert "debian-13" in page.content.decode()
    assert (absent.status_code, known.url) == (404, LAB)  # type: ignore[attr-defined]


def test_the_front_page_shows_how_much_of_its_limit_a_project_uses(
    root: Client, make_image: MakeImage
) -> None:
    limits.set_own("id-of-lab", {"image_size_total": 4 * 1024})
    make_image("active", size=GIB, owner="id-of-lab")

    assert "1.0 GiB of 4.0 GiB" in root.get("/admin/").content.decode()


def test_pages_are_there_while_the_limits_of_keystone_are_unknown(
    root: Client, make_image: MakeImage, settings: Any
) -> None:
    make_image("active", size=GIB, owner="id-of-lab")
    settings.IMAGECATALOG_UNIFIED_LIMITS = True

    pages = [root.get(path) for path in (PROJECTS, LAB, "/admin/")]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert "unknown" in pages[1].content.decode()


def test_a_viewer_sees_projects_and_changes_nothing(
    signed_in: Callable[..., Client],
) -> None:
    viewer = signed_in("viewer")

    page = viewer.get(LAB).content.decode()
    answer = viewer.post(LAB, form(name="mine", image_size_total="1 GiB"))

    assert 'name="image_size_total"' not in page
    assert "Usage" in page
    assert answer.status_code == 403
    assert limits.own("id-of-lab") == {}
