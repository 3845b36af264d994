from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from images.models import ImageLocation, QuotaLimit
from images.transfers import limits

MIB = 1 << 20
QUOTAS = "/catalog/v1/quotas"
MINE = f"{QUOTAS}/project-a"


def put(client: Client, path: str, document: Any) -> HttpResponse:
    return client.put(path, document, content_type="application/json")


def test_a_project_sees_its_limits_and_what_it_has(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 9
    limits.set_own("project-a", {"image_size_total": 50})
    make_image("active", size=3 * MIB)
    make_image("pending_delete", size=4 * MIB)
    make_image("saving").transfers.update(bytes_reserved=2 * MIB)

    response = api.reader.get(MINE)

    assert response.status_code == 200
    assert response.json() == {
        "image_size_total": {
            "limit": 50,
            "source": "project",
            "used": 5,
            "reserved": 2,
            "trash": 4,
        },
        "image_stage_total": {"limit": 50, "source": "default", "used": 0},
        "image_count_total": {"limit": 9, "source": "default", "used": 2},
        "image_count_uploading": {"limit": 1000, "source": "default", "used": 1},
    }


def test_other_projects_are_none_of_a_project_s_business(api: Any) -> None:
    assert api.stranger.get(MINE).status_code == 403
    assert api.admin.get(MINE).status_code == 200


def test_an_admin_sets_limits(api: Any) -> None:
    wanted = {"image_size_total": 5, "image_count_total": -1}

    changed = put(api.admin, MINE, wanted).json()

    assert changed["image_size_total"]["limit"] == 5
    assert changed["image_count_total"] == {"limit": -1, "source": "project", "used": 0}
    back = put(api.admin, MINE, {"image_size_total": None}).json()
    assert back["image_size_total"]["source"] == "default"
    assert QuotaLimit.objects.get().name == "image_count_total"


@pytest.mark.parametrize("who", ["member", "reader", "stranger"])
def test_only_an_admin_sets_limits(who: str, api: Any) -> None:
    response = put(getattr(api, who), MINE, {"image_size_total": -1})

    assert response.status_code == 403
    assert not QuotaLimit.objects.exists()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"image_size_total": "5"},
        {"image_size_total": True},
        {"image_size_total": 2**63},
        {"image_size_total": 1e400},
        {"image_count": 5},
        {"": 5},
    ],
)
def test_what_is_no_limit_is_400(document: Any, api: Any) -> None:
    assert put(api.admin, MINE, document).status_code == 400
    assert not QuotaLimit.objects.exists()


@pytest.mark.parametrize("project", ["x" * 256, "a%00b", "%F0%9F%98%80"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_cannot_be_a_project_is_400(method: str, project: str, api: Any) -> None:
    body = "{}" if method == "PUT" else ""

    response = api.admin.generic(method, f"{QUOTAS}/{project}", body)

    assert response.status_code == 400


def test_a_limit_holds_at_once(api: Any, create: Any) -> None:
    put(api.admin, MINE, {"image_count_total": 1})

    assert create(api.member).status_code == 201
    assert create(api.member).status_code == 413


def test_an_admin_lists_the_projects_that_are_nearly_full(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 100 * MIB
    limits.set_own("large", {"image_size_total": 1000})
    limits.set_own("free", {"image_size_total": -1})
    old = make_image("active", size=60 * MIB, owner="nearly")
    long_ago = timezone.now() - timedelta(days=99)
    ImageLocation.objects.filter(image=old).update(created_at=long_ago)
    make_image("active", size=30 * MIB, owner="nearly")
    for owner in ("large", "free"):
        make_image("active", size=90 * MIB, owner=owner)
    make_image("active", size=120 * MIB, owner="full")

    response = api.admin.get(f"{QUOTAS}?over=80")

    today = timezone.now().date()
    assert response.json()["quotas"] == [
        {
            "project": "full",
            "limit": 100,
            "used": 120,
            "percent": 120,
            "growth": 120,
            "full_on": today.isoformat(),
        },
        {
            "project": "nearly",
            "limit": 100,
            "used": 90,
            "percent": 90,
            "growth": 30,
            "full_on": (today + timedelta(days=10)).isoformat(),
        },
    ]


def test_a_project_that_does_not_grow_will_not_be_full(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 100 * MIB
    make_image("active", size=90 * MIB)
    ImageLocation.objects.update(created_at=timezone.now() - timedelta(days=99))

    (project,) = api.admin.get(QUOTAS).json()["quotas"]

    assert (project["growth"], project["full_on"]) == (0, None)


@pytest.mark.parametrize("over", ["0", "-5", "x", "", "1.5"])
def test_a_share_that_is_none_is_400(over: str, api: Any) -> None:
    assert api.admin.get(f"{QUOTAS}?over={over}").status_code == 400


def test_only_an_admin_lists_projects(api: Any) -> None:
    assert api.member.get(QUOTAS).status_code == 403


def test_quotas_need_a_token(client: Client) -> None:
    assert [client.get(path).status_code for path in (QUOTAS, MINE)] == [401, 401]


def test_what_the_catalogue_s_own_api_does_not_have_is_404(api: Any) -> None:
    assert api.member.get("/catalog/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("image_size_total", "put", "/v2/images/{}/file"),
        ("image_stage_total", "put", "/v2/images/{}/stage"),
        ("image_count_uploading", "put", "/v2/images/{}/file"),
        ("image_count_total", "post", "/v2/images"),
    ],
)
def test_a_refusal_names_the_limit(
    name: str, method: str, path: str, api: Any, make_image: Any
) -> None:
    image = make_image()
    limits.set_own("project-a", {name: 0})

    response = api.member.generic(
        method.upper(), path.format(image.pk), "{}", "application/octet-stream"
    )

    assert response.status_code == 413
    assert response.headers["X-Quota-Name"] == name


def test_a_refusal_for_another_limit_names_no_quota(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 1
    path = f"/v2/images/{make_image().pk}/file"

    response = api.member.put(path, b"two", content_type="application/octet-stream")

    assert response.status_code == 413
    assert "X-Quota-Name" not in response.headers
