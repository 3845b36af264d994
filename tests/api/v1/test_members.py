from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images.access import Caller, implied
from images.models import Image, Member


def path(image: Image, *member: str) -> str:
    return "/".join(["/v1/images", image.pk, "members", *member])


def put(client: Client, where: str, document: Any = None) -> HttpResponse:
    content = b"" if document is None else json.dumps(document).encode()
    return client.generic("PUT", where, content, "application/json")


def listed(client: Client, image: Image) -> list[tuple[str, bool]]:
    members = client.get(path(image)).json()["members"]
    assert all(it.keys() == {"member_id", "can_share"} for it in members)
    return [(it["member_id"], it["can_share"]) for it in members]


def test_members_come_and_go(api: Any, make_image: Any) -> None:
    image = make_image()

    for name in ("pattieblack", "jeff"):
        added = put(api.member, path(image, name))
        assert (added.status_code, added.content) == (204, b"")
    assert listed(api.member, image) == [("pattieblack", False), ("jeff", False)]

    assert api.member.delete(path(image, "pattieblack")).status_code == 204
    assert api.member.delete(path(image, "pattieblack")).status_code == 404
    assert listed(api.member, image) == [("jeff", False)]


def test_whether_a_member_may_share_is_said_or_stays(api: Any, make_image: Any) -> None:
    image = make_image()

    for document in ({"member": {"can_share": True}}, None, {"member": {}}):
        assert put(api.member, path(image, "b"), document).status_code == 204
        assert listed(api.member, image) == [("b", True)]
    put(api.member, path(image, "b"), {"member": {"can_share": False}})
    assert listed(api.member, image) == [("b", False)]


@pytest.mark.parametrize(
    ("value", "can_share"),
    [
        *((value, True) for value in (True, 1, "true", "True", "yes", [0])),
        *((value, False) for value in (False, 0, None, "", "false", "False", "0", [])),
    ],
)
def test_whether_a_member_may_share_is_the_truth_of_a_value_or_word(
    value: Any, can_share: bool, api: Any, make_image: Any
) -> None:
    one, all_of_them = make_image(), make_image()
    flag = {"can_share": value}

    put(api.member, path(one, "b"), {"member": flag})
    put(api.member, path(all_of_them), {"memberships": [{"member_id": "b", **flag}]})

    for image in (one, all_of_them):
        assert listed(api.member, image) == [("b", can_share)]


def test_all_are_replaced(api: Any, make_image: Any) -> None:
    image = make_image()
    image.members.create(member="a", can_share=True)
    image.members.create(member="b", can_share=True)
    wanted = [{"member_id": "b"}, {"member_id": "c", "can_share": True}]

    response = put(api.member, path(image), {"memberships": wanted})

    assert response.status_code == 204
    assert listed(api.member, image) == [("b", True), ("c", True)]
    assert put(api.member, path(image), {"memberships": []}).status_code == 204
    assert listed(api.member, image) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"memberships": {}},
        {"memberships": ["b"]},
        {"memberships": [{}]},
        {"memberships": [{"member_id": 5}]},
        {"memberships": [{"member_id": ""}]},
    ],
)
def test_what_is_no_list_of_members_is_400(
    document: Any, api: Any, make_image: Any
) -> None:
    image = make_image()
    image.members.create(member="a")

    assert put(api.member, path(image), document).status_code == 400
    assert listed(api.member, image) == [("a", False)]


@pytest.mark.parametrize("document", [[], {}, "x", {"member": 5}, {"members": {}}])
def test_what_is_no_member_is_400(document: Any, api: Any, make_image: Any) -> None:
    image = make_image()

    assert put(api.member, path(image, "b"), document).status_code == 400
    assert not Member.objects.exists()


def test_one_member_cannot_be_shown(api: Any, make_image: Any) -> None:
    assert api.member.get(path(make_image(), "b")).status_code == 405


def test_a_deleted_image_has_no_members(api: Any, make_image: Any) -> None:
    for status in ("deleted", "pending_delete"):
        image = make_image(status)

        for client in (api.member, api.admin):
            assert client.get(path(image)).status_code == 404
            assert put(client, path(image), {"memberships": []}).status_code == 404
            assert put(client, path(image), []).status_code == 404
            assert put(client, path(image, "b")).status_code == 404
            assert put(client, path(image, "b"), "x").status_code == 404
            assert client.delete(path(image, "b")).status_code == 404


def test_who_may_not_share_is_told_404(
    api: Any, make_image: Any, client_of: Any
) -> None:
    image = make_image()
    image.members.create(member="project-b")
    outsider = client_of(Caller("olga", "project-o", implied("member")))

    for client in (api.reader, api.stranger, outsider):
        assert put(client, path(image, "c")).status_code == 404
        assert put(client, path(image), {"memberships": []}).status_code == 404
        assert client.delete(path(image, "project-b")).status_code == 404
    assert listed(api.stranger, image) == [("project-b", False)]
    assert outsider.get(path(image)).status_code == 404


def test_a_member_that_may_share_adds_members(api: Any, make_image: Any) -> None:
    image = make_image()
    image.members.create(member="a")
    image.members.create(member="project-b", can_share=True)

    assert put(api.stranger, path(image, "c")).status_code == 204
    assert listed(api.stranger, image) == [
        ("a", False),
        ("project-b", True),
        ("c", False),
    ]


def test_who_may_only_add_removes_nobody(
    api: Any, make_image: Any, tmp_path: Path, settings: Any
) -> None:
    image = make_image()
    image.members.create(member="a")
    policy = tmp_path / "policy.yaml"
    policy.write_text("delete_member: role:admin")
    settings.IMAGECATALOG_POLICY_FILE = str(policy)

    assert put(api.member, path(image, "b")).status_code == 204
    assert put(api.member, path(image), {"memberships": []}).status_code == 404
    assert api.member.delete(path(image, "a")).status_code == 404
    assert listed(api.member, image) == [("a", False), ("b", False)]
    assert api.admin.delete(path(image, "a")).status_code == 204


def test_a_member_that_may_share_removes_members(api: Any, make_image: Any) -> None:
    image = make_image()
    image.members.create(member="a")
    image.members.create(member="project-b", can_share=True)

    assert api.stranger.delete(path(image, "a")).status_code == 204


def test_a_public_image_has_members_and_a_private_one_not(
    api: Any, make_image: Any
) -> None:
    public, private = (make_image(visibility=it) for it in ("public", "private"))

    assert put(api.member, path(public, "b")).status_code == 204
    assert listed(api.member, public) == [("b", False)]
    assert put(api.member, path(private, "b")).status_code == 404


def test_a_member_lists_what_is_shared_with_it(api: Any, make_image: Any) -> None:
    image = make_image()
    put(api.member, path(image, "project-b"), {"member": {"can_share": True}})

    for client in (api.stranger, api.admin, api.member):
        assert client.get("/v1/shared-images/project-b").json() == {
            "shared_images": [{"image_id": image.pk, "can_share": True}]
        }
    assert api.stranger.get("/v1/shared-images/c").json() == {"shared_images": []}


def test_what_version_1_shares_version_2_shows(api: Any, make_image: Any) -> None:
    image = make_image()
    put(api.member, path(image, "project-b"))

    shown = api.stranger.get(f"/v2/images/{image.pk}/members").json()["members"]
    assert [(it["member_id"], it["status"]) for it in shown] == [
        ("project-b", "pending")
    ]


def test_members_need_a_caller(client: Client, make_image: Any) -> None:
    image = make_image()

    for response in (
        client.get(path(image)),
        put(client, path(image, "b")),
        client.delete(path(image, "b")),
        client.get("/v1/shared-images/b"),
    ):
        assert response.status_code == 401
