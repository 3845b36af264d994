"""The trash: what admins list and bring back, and what everybody else does not notice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from images import lifecycle
from images.models import Event, Image, LocationStatus

THEN = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = ("queued", "saving", "active", "deactivated")


def listed(client: Any, query: str = "status=pending_delete") -> list[dict[str, Any]]:
    response = client.get(f"/v2/images?{query}")
    assert response.status_code == 200, response.content
    return response.json()["images"]


def names(client: Any, query: str = "status=pending_delete") -> list[str]:
    return [image["name"] for image in listed(client, query)]


def restore(client: Any, image: Image, body: bytes = b"", **headers: str) -> Any:
    path = f"/v2/images/{image.pk}/actions/restore"
    return client.generic("POST", path, body, headers=headers)


@pytest.fixture
def trash(make_image: Any) -> list[Image]:
    """Five images in the trash, the youngest first, and others."""
    for status in (*LIVE, "deleted"):
        make_image(status, name=status)
    return [
        make_image(
            "pending_delete",
            name=f"trashed-{number}",
            created_at=THEN - timedelta(days=number),
            size=number % 2,
            owner=f"project-{number}",
        )
        for number in range(5)
    ]


# The list


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize("op", ["", "eq:", "in:"])
def test_an_admin_lists_the_trash(op: str, api: Any) -> None:
    expected = [f"trashed-{number}" for number in range(5)]

    assert names(api.admin, f"status={op}pending_delete") == expected


@pytest.mark.parametrize("who", ["member", "reader", "stranger"])
@pytest.mark.parametrize("visibility", ["private", "community", "public"])
def test_for_everybody_else_the_trash_is_empty(
    who: str, visibility: str, api: Any, make_image: Any
) -> None:
    make_image("pending_delete", visibility=visibility)

    for query in ("", "&visibility=all", f"&visibility={visibility}"):
        client = getattr(api, who)
        assert listed(client, f"status=pending_delete{query}") == []


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "deleted=true",
        "status=in:pending_delete,active",
        "status=active&status=pending_delete",
        "status=deleted",
    ],
)
def test_no_other_question_finds_what_is_deleted(query: str, api: Any) -> None:
    assert set(names(api.admin, query)) <= set(LIVE)


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name:asc", [0, 1, 2, 3, 4]),
        ("sort=created_at:asc", [4, 3, 2, 1, 0]),
        ("sort=size:desc,name:desc", [3, 1, 4, 2, 0]),
        ("owner=project-3", [3]),
        ("size=1", [1, 3]),
        ("name=in:trashed-0,trashed-4,active", [0, 4]),
        ("visibility=shared", [0, 1, 2, 3, 4]),
        ("visibility=public", []),
        ("created_at=lt:2025-12-30T00:00:00Z", [3, 4]),
        ("limit=2", [0, 1]),
    ],
)
def test_the_trash_is_sorted_and_filtered_like_any_list(
    query: str, expected: list[int], api: Any
) -> None:
    found = names(api.admin, f"status=pending_delete&{query}")

    assert found == [f"trashed-{number}" for number in expected]


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize("sort", ["", "&sort=size:asc", "&sort=name:desc"])
def test_the_next_links_lead_through_the_whole_trash(sort: str, api: Any) -> None:
    url, seen = f"/v2/images?status=pending_delete&limit=2{sort}", []
    while url:
        page = api.admin.get(url).json()
        seen += [image["name"] for image in page["images"]]
        url = page.get("next")

    assert seen == names(api.admin, f"status=pending_delete{sort}")
    assert len(seen) == 5


def test_hidden_images_are_in_the_trash_too(api: Any, make_image: Any) -> None:
    make_image("pending_delete", name="hidden", os_hidden=True)
    make_image("pending_delete", name="shown")

    assert set(names(api.admin)) == {"hidden", "shown"}
    assert names(api.admin, "status=pending_delete&os_hidden=true") == ["hidden"]
    assert names(api.admin, "status=pending_delete&os_hidden=false") == ["shown"]


def test_a_row_says_when_it_was_deleted_and_when_it_goes_for_good(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 3600
    make_image("pending_delete", deleted_at=THEN)

    (image,) = listed(api.admin)

    assert image["deleted_at"] == "2026-01-01T00:00:00Z"
    assert image["scrub_at"] == "2026-01-01T01:00:00Z"
    assert image["status"] == "pending_delete"


def test_no_other_row_says_so(api: Any, make_image: Any) -> None:
    image = make_image("active")

    for shown in (
        *listed(api.admin, ""),
        api.admin.get(f"/v2/images/{image.pk}").json(),
    ):
        assert not {"deleted_at", "scrub_at"} & shown.keys()
    for name in ("image", "images"):
        schema = api.admin.get(f"/v2/schemas/{name}").content
        assert b"deleted_at" not in schema
        assert b"scrub_at" not in schema


def test_a_row_of_the_trash_shows_no_locations(
    api: Any, make_image: Any, member: Any
) -> None:
    image = make_image("active")
    lifecycle.delete(image.pk, member)

    (shown,) = listed(api.admin)

    assert shown["locations"] == []
    assert "stores" not in shown


@pytest.mark.parametrize("images", [1, 30])
@pytest.mark.parametrize("query", ["", "&sort=name:asc", "&owner=project-a"])
def test_the_trash_asks_a_constant_number_of_queries(
    query: str,
    images: int,
    api: Any,
    make_image: Any,
    django_assert_max_num_queries: Any,
) -> None:
    marker = next(make_image("pending_delete") for _ in range(images))
    client = api.admin

    with django_assert_max_num_queries(2):
        listed(client, f"status=pending_delete{query}")
    with django_assert_max_num_queries(3):
        listed(client, f"status=pending_delete&marker={marker.pk}")


@pytest.mark.parametrize("who", ["admin", "member"])
def test_what_is_in_the_trash_is_404_for_clients(
    who: str, api: Any, make_image: Any
) -> None:
    url = f"/v2/images/{make_image('pending_delete').pk}"
    client = getattr(api, who)

    assert client.get(url).status_code == 404
    assert client.get(f"{url}/file").status_code == 404
    assert client.delete(url).status_code == 404


# The way back


@pytest.mark.parametrize("before", ["active", "deactivated"])
def test_an_image_comes_back_as_it_was(before: str, api: Any, make_image: Any) -> None:
    image = make_image(before, tags=["t"], properties={"os": "debian"})
    url = f"/v2/images/{image.pk}"
    image.members.create(member="project-b")
    shown = api.admin.get(url).json()
    api.member.delete(url)

    assert restore(api.admin, image).status_code == 204

    restored = api.admin.get(url).json()
    assert restored == shown | {"updated_at": restored["updated_at"]}
    assert image.members.count() == 1
    assert image.locations.get().status == LocationStatus.ACTIVE
    assert listed(api.admin) == []


def test_a_restored_image_can_be_downloaded(api: Any, make_image: Any) -> None:
    image = make_image("active", b"the very bytes")
    api.member.delete(f"/v2/images/{image.pk}")
    restore(api.admin, image)

    data = api.member.get(f"/v2/images/{image.pk}/file")

    assert b"".join(data.streaming_content) == b"the very bytes"


@pytest.mark.parametrize("status", [*LIVE, "deleted"])
def test_only_what_is_in_the_trash_can_be_restored(
    status: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)

    response = restore(api.admin, image)

    assert response.status_code == 409
    assert f"in status '{status}'" in response.content.decode()
    assert Image.objects.get().status == status


@pytest.mark.parametrize(
    ("who", "visibility", "code"),
    [
        ("member", "private", 403),
        ("reader", "private", 403),
        ("stranger", "private", 404),
        ("stranger", "public", 404),
    ],
)
def test_only_admins_restore(
    who: str, visibility: str, code: int, api: Any, make_image: Any
) -> None:
    image = make_image("pending_delete", visibility=visibility)

    assert restore(getattr(api, who), image).status_code == code
    assert Image.objects.get().status == "pending_delete"


def test_what_never_was_cannot_be_restored(api: Any, db: None) -> None:
    assert restore(api.admin, Image(pk=str(uuid4()))).status_code == 404


def test_a_restore_takes_no_body_and_no_other_method(api: Any, make_image: Any) -> None:
    image = make_image("pending_delete")

    assert restore(api.admin, image, b"{}").status_code == 400
    path = f"/v2/images/{image.pk}/actions/restore"
    assert api.admin.get(path).status_code == 405
    assert Image.objects.get().status == "pending_delete"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("deleted by mistake", "deleted by mistake"),
        ("aus Versehen gelöscht".encode().decode("latin-1"), "aus Versehen gelöscht"),
        ("", ""),
    ],
)
def test_the_reason_of_a_restore_is_in_the_history(
    sent: str, kept: str, api: Any, make_image: Any
) -> None:
    image = make_image("pending_delete")

    response = restore(api.admin, image, **{"X-Reason": sent})

    assert response.status_code == 204, response.content

    event = Event.objects.get()
    assert (event.verb, event.reason, event.actor != "") == ("restore", kept, True)


@pytest.mark.parametrize("sent", ["x" * 256, "gelöscht"])
def test_a_reason_that_cannot_be_kept_is_400(
    sent: str, api: Any, make_image: Any
) -> None:
    image = make_image("pending_delete")

    assert restore(api.admin, image, **{"X-Reason": sent}).status_code == 400
    assert Image.objects.get().status == "pending_delete"
