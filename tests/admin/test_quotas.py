from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity.models import Project
from images.models import QuotaLimit
from images.transfers import limits

LIMITS = "/admin/images/quotalimit/"
WANTED = {"project": "p", "name": "image_size_total", "value": "5"}


def test_a_limit_is_added_changed_and_deleted(root: Client) -> None:
    Project.objects.create(id="p", name="Project P")
    root.post(f"{LIMITS}add/", WANTED)
    assert limits.own("p") == {"image_size_total": 5}

    limit = QuotaLimit.objects.get()
    root.post(f"{LIMITS}{limit.pk}/change/", {"value": "7"})
    assert limits.own("p") == {"image_size_total": 7}

    root.post(f"{LIMITS}{limit.pk}/delete/", {"post": "yes"})
    assert limits.own("p") == {}


@pytest.mark.parametrize("count", [1, 5])
def test_the_list_names_projects_with_as_many_queries_for_many_as_for_few(
    root: Client, count: int
) -> None:
    for number in range(count):
        project = Project.objects.create(name=f"Lab {number}")
        limits.set_own(project.pk, {"image_size_total": 5})

    with CaptureQueriesContext(connection) as queries:
        page = root.get(LIMITS).content.decode()

    assert page.count(">Lab ") == count
    assert len(queries) <= 6, [query["sql"][:150] for query in queries]


def test_several_limits_are_deleted_at_once(root: Client) -> None:
    limits.set_own("p", {"image_size_total": 5})
    limits.set_own("q", {"image_size_total": 5})
    chosen = list(QuotaLimit.objects.values_list("pk", flat=True))
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}

    root.post(LIMITS, action)

    assert not QuotaLimit.objects.exists()


def test_the_page_of_a_limit_shows_what_the_project_has(
    root: Client, make_image: Any
) -> None:
    limits.set_own("p", {"image_size_total": 500})
    make_image("active", size=321 << 20, owner="p")
    limit = QuotaLimit.objects.get()

    page = root.get(f"{LIMITS}{limit.pk}/change/").content.decode()

    assert '<div class="readonly">321</div>' in page


@pytest.mark.parametrize("value", ["-2", str(2**63 - 1), "x", ""])
def test_what_is_no_limit_is_refused(root: Client, value: str) -> None:
    response = root.post(f"{LIMITS}add/", WANTED | {"value": value})

    assert response.status_code == 200
    assert not QuotaLimit.objects.exists()


def test_a_second_limit_of_a_name_is_refused(root: Client) -> None:
    limits.set_own("p", {"image_size_total": 5})

    response = root.post(f"{LIMITS}add/", WANTED | {"value": "7"})

    assert response.status_code == 200
    assert limits.own("p") == {"image_size_total": 5}


def test_limits_that_come_from_keystone_are_shown_and_cannot_be_changed(
    root: Client, settings: Any
) -> None:
    limits.set_own("p", {"image_size_total": 5})
    limit = QuotaLimit.objects.get()
    settings.IMAGECATALOG_UNIFIED_LIMITS = True

    answers = [
        root.get(f"{LIMITS}{limit.pk}/change/"),
        root.post(f"{LIMITS}add/", WANTED | {"project": "q"}),
        root.post(f"{LIMITS}{limit.pk}/change/", {"value": "7"}),
        root.post(f"{LIMITS}{limit.pk}/delete/", {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 403, 403]
    assert QuotaLimit.objects.get().value == 5
