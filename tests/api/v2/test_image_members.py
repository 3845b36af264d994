from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from django.test import Client

from images.access import Caller, implied
from images.models import Image, Member

GUEST = "project-b"  # of api.stranger
KEYS = {"member_id", "image_id", "status", "created_at", "updated_at", "schema"}
NOT_SHARED = ["private", "community", "public"]


def path(image: Image, *member: str) -> str:
    return "/".join(["/v2/images", image.pk, "members", *(quote(it) for it in member)])


def add(client: Client, image: Image, document: Any) -> HttpResponse:
    return client.post(path(image), json.dumps(document), "application/json")


def answer(client: Client, image: Image, member: str, status: Any) -> HttpResponse:
    return client.put(path(image, member), json.dumps(status), "application/json")


@pytest.fixture
def image(make_image: Any) -> Image:
    """Shared with the stranger's project and one more."""
    image = make_image("active")
    for name in (GUEST, "project-c"):
        image.members.create(member=name)
    return image


def test_a_member_is_added(api: Any, make_image: Any) -> None:
    image = make_image()

    response = add(api.member, image, {"member": "project-c"})

    document = response.json()
    assert response.status_code == 200
    assert document.keys() == KEYS
    assert document["member_id"] == "project-c"
    assert (document["image_id"], document["status"]) == (image.pk, "pending")
    assert document["created_at"] == document["updated_at"]
    assert document["created_at"].endswith("Z")
    assert document["schema"] == "/v2/schemas/member"


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        ["b"],
        "b",
        {"member": ""},
        {"member": None},
        {"member": 5},
        {"member": "x" * 256},
        {"member": ["b"]},
        {"member": "\x00"},
    ],
)
def test_what_names_no_member_is_400(document: Any, api: Any, make_image: Any) -> None:
    assert add(api.member, make_image(), document).status_code == 400


def test_a_member_needs_a_body(api: Any, make_image: Any) -> None:
    image = make_image(visibility="shared")
    image.members.create(member=GUEST)

    assert api.member.post(path(image)).status_code == 400
    assert api.admin.put(path(image, GUEST)).status_code == 400


@pytest.mark.parametrize("visibility", NOT_SHARED)
def test_only_shared_images_have_members(
    visibility: str, api: Any, image: Image
) -> None:
    Image.objects.update(visibility=visibility)

    for client in (api.member, api.admin):
        assert add(client, image, {"member": "d"}).status_code == 403
        assert client.get(path(image)).status_code == 403
        assert client.delete(path(image, GUEST)).status_code == 403
        assert client.get(path(image, GUEST)).status_code == 404
        assert answer(client, image, GUEST, {"status": "accepted"}).status_code == 404
    assert Member.objects.count() == 2


def test_who_is_a_member_cannot_be_added(api: Any, image: Image) -> None:
    assert add(api.member, image, {"member": GUEST}).status_code == 409


def test_too_many_members_are_413(api: Any, make_image: Any) -> None:
    image = make_image()
    Member.objects.bulk_create(
        Member(image=image, member=f"p{number}") for number in range(128)
    )

    assert add(api.member, image, {"member": "one more"}).status_code == 413


def test_who_may_not_share_is_refused(
    api: Any, image: Image, client_of: Any, make_image: Any
) -> None:
    outsider = client_of(Caller("olga", "project-o", implied("member")))

    for client, code in ((api.reader, 403), (api.stranger, 403), (outsider, 404)):
        assert add(client, image, {"member": "d"}).status_code == code
        assert client.delete(path(image, "project-c")).status_code == code


def test_the_owner_sees_all_members_and_a_member_itself(api: Any, image: Image) -> None:
    def names(client: Client) -> list[str]:
        document = client.get(path(image)).json()
        assert document["schema"] == "/v2/schemas/members"
        return [one["member_id"] for one in document["members"]]

    for client in (api.member, api.reader, api.admin):
        assert names(client) == [GUEST, "project-c"]
    assert names(api.stranger) == [GUEST]


def test_a_member_is_shown_to_the_owner_and_to_itself(api: Any, image: Image) -> None:
    for client in (api.member, api.reader, api.admin, api.stranger):
        assert client.get(path(image, GUEST)).json()["member_id"] == GUEST
    assert api.stranger.get(path(image, "project-c")).status_code == 404
    assert api.member.get(path(image, "nobody")).status_code == 404


def test_what_the_caller_does_not_see_has_no_members(api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.stranger.get(path(image)).status_code == 404
    assert api.stranger.get(path(image, GUEST)).status_code == 404
    assert answer(api.stranger, image, GUEST, {"status": "accepted"}).status_code == 404


@pytest.mark.parametrize("status", ["accepted", "rejected", "pending"])
def test_a_member_answers(status: str, api: Any, image: Image) -> None:
    response = answer(api.stranger, image, GUEST, {"status": status})

    assert (response.status_code, response.json()["status"]) == (200, status)
    listed = api.stranger.get("/v2/images?visibility=shared").json()["images"]
    assert bool(listed) == (status == "accepted")


def test_nobody_answers_for_a_member_but_an_admin(
    api: Any, image: Image, client_of: Any
) -> None:
    silent = client_of(Caller("silvia", GUEST, implied("reader")))

    def code(client: Client, member: str = GUEST) -> int:
        return answer(client, image, member, {"status": "accepted"}).status_code

    assert [code(it) for it in (api.member, api.reader, silent)] == [403, 403, 403]
    assert code(api.admin) == 200
    assert code(api.stranger, "project-c") == 404
    assert code(api.member, "nobody") == 404


@pytest.mark.parametrize(
    "document", [{}, [], {"status": "yes"}, {"status": None}, {"status": 1}]
)
def test_what_is_no_answer_is_400(document: Any, api: Any, image: Image) -> None:
    assert answer(api.stranger, image, GUEST, document).status_code == 400


def test_sharing_gives_access_at_once_whatever_the_member_says(
    api: Any, image: Image
) -> None:
    for status in ("pending", "rejected", "accepted"):
        image.members.update(status=status)
        assert api.stranger.get(f"/v2/images/{image.pk}").status_code == 200
        assert api.stranger.get(f"/v2/images/{image.pk}/file").status_code == 200
        assert api.stranger.delete(f"/v2/images/{image.pk}").status_code == 403


def test_a_member_is_removed_and_can_be_added_again(api: Any, image: Image) -> None:
    image.members.update(status="accepted")

    assert api.member.delete(path(image, GUEST), b"{}").status_code == 400
    gone = api.member.delete(path(image, GUEST))
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.stranger.get(f"/v2/images/{image.pk}").status_code == 404
    assert api.member.delete(path(image, GUEST)).status_code == 404
    assert add(api.member, image, {"member": GUEST}).json()["status"] == "pending"


def test_a_member_does_not_leave_by_itself(api: Any, image: Image) -> None:
    assert api.stranger.delete(path(image, GUEST)).status_code == 403


@pytest.mark.parametrize("name", ["a b", "é", "x" * 255, "a.b:c"])
def test_a_member_may_have_any_name(name: str, api: Any, make_image: Any) -> None:
    image = make_image()
    add(api.member, image, {"member": name})

    assert api.member.get(path(image, name)).json()["member_id"] == name
    assert api.member.delete(path(image, name)).status_code == 204


def test_a_name_that_nobody_can_have_is_400(api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.member.get(path(image, "nul\0")).status_code == 400
    assert api.member.delete(path(image, "x" * 256)).status_code == 400


def test_the_owner_reads_in_the_history_who_was_added(
    api: Any, make_image: Any
) -> None:
    image = make_image()
    add(api.member, image, {"member": GUEST})

    (event,) = api.member.get(f"/v2/images/{image.pk}/history").json()["history"]
    assert (event["verb"], event["door"]) == ("add_member", "v2")
    assert event["detail"]["member"] == GUEST
