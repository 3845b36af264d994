from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from images import errors
from images.access import Caller, implied
from images.lifecycle import sharing
from images.models import Event, Image, Member

pytestmark = pytest.mark.django_db


def held(image: Image) -> dict[str, bool]:
    return {one.member: one.can_share for one in sharing.members(image.pk)}


def told(image: Image) -> list[tuple[str, Any]]:
    """The verbs of the image's events, with the member that each is about."""
    events = Event.objects.filter(image=image).order_by("pk")
    return [(event.verb, event.detail["member"]) for event in events]


def test_a_new_member_is_pending(make_image: Any, member: Caller) -> None:
    image = make_image()

    added = sharing.add(image.pk, "b", member)

    assert (added.member, added.status, added.can_share) == ("b", "pending", False)
    assert told(image) == [("add_member", "b")]


def test_members_come_in_the_order_in_which_they_were_added(
    make_image: Any, member: Caller
) -> None:
    image = make_image()

    for name in "cab":
        sharing.add(image.pk, name, member)

    assert [one.member for one in sharing.members(image.pk)] == ["c", "a", "b"]


def test_nobody_is_a_member_twice(make_image: Any, member: Caller) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)

    with pytest.raises(errors.Conflict, match="one already"):
        sharing.add(image.pk, "b", member)


@pytest.mark.parametrize("visibility", ["private", "community", "public"])
def test_only_a_shared_image_gets_members(
    visibility: str, make_image: Any, member: Caller
) -> None:
    image = make_image(visibility=visibility)

    with pytest.raises(errors.Forbidden, match="Only shared images have members"):
        sharing.add(image.pk, "b", member)


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_a_deleted_image_gets_no_members(
    status: str, make_image: Any, member: Caller
) -> None:
    with pytest.raises(errors.NotFound):
        sharing.add(make_image(status).pk, "b", member)


@pytest.mark.parametrize("name", ["", "x" * 256, 5, None, ["b"], "nul\0"])
def test_a_member_that_cannot_be_kept_is_refused(
    name: Any, make_image: Any, member: Caller
) -> None:
    with pytest.raises(errors.Invalid):
        sharing.add(make_image().pk, name, member)


def test_there_are_at_most_128_members(make_image: Any, member: Caller) -> None:
    image = make_image()
    some = {f"p{number}": None for number in range(128)}
    sharing.replace(image.pk, some, member)

    with pytest.raises(errors.OverLimit, match="Attempted: 129, Maximum: 128"):
        sharing.add(image.pk, "b", member)
    with pytest.raises(errors.OverLimit):
        sharing.set_member(image.pk, "b", None, member)
    with pytest.raises(errors.OverLimit):
        sharing.replace(image.pk, some | {"b": None}, member)

    sharing.set_member(image.pk, "p5", True, member)
    assert len(held(image)) == 128


def test_put_leaves_what_is_not_said(make_image: Any, member: Caller) -> None:
    image = make_image()

    sharing.set_member(image.pk, "b", None, member)
    sharing.set_member(image.pk, "c", True, member)
    sharing.set_member(image.pk, "c", None, member)

    assert held(image) == {"b": False, "c": True}
    assert told(image) == [("add_member", "b"), ("add_member", "c")]


def test_put_changes_whether_a_member_may_share(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)

    sharing.set_member(image.pk, "b", True, member)

    assert held(image) == {"b": True}
    assert Event.objects.last().detail == {"member": "b", "can_share": [False, True]}


def test_replace_keeps_who_stays_and_removes_the_others(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    for name in "abc":
        sharing.add(image.pk, name, member)
    sharing.set_status(image.pk, "b", "accepted", member)

    sharing.replace(image.pk, {"b": None, "d": True}, member)

    assert held(image) == {"b": False, "d": True}
    assert Member.objects.get(member="b").status == "accepted"
    assert sorted(told(image)[4:]) == [
        ("add_member", "d"),
        ("remove_member", "a"),
        ("remove_member", "c"),
    ]


def test_a_public_image_can_be_given_members_and_a_private_one_not(
    make_image: Any, member: Caller
) -> None:
    public, private = (make_image(visibility=it) for it in ("public", "private"))

    sharing.set_member(public.pk, "b", None, member)
    with pytest.raises(errors.Forbidden, match="private"):
        sharing.set_member(private.pk, "b", None, member)
    with pytest.raises(errors.Forbidden, match="private"):
        sharing.replace(private.pk, {}, member)

    assert held(public) == {"b": False}


def test_a_removed_member_can_be_added_again(make_image: Any, member: Caller) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)
    sharing.set_status(image.pk, "b", "accepted", member)

    sharing.remove(image.pk, "b", member)
    with pytest.raises(errors.NotFound, match="not found in the member list"):
        sharing.remove(image.pk, "b", member)

    assert sharing.add(image.pk, "b", member).status == "pending"


def test_a_member_says_what_it_thinks(make_image: Any, member: Caller) -> None:
    image = make_image()
    added = sharing.add(image.pk, "b", member)

    changed = sharing.set_status(image.pk, "b", "rejected", member)

    assert (changed.status, changed.created_at) == ("rejected", added.created_at)
    assert changed.updated_at > added.updated_at
    assert Event.objects.last().detail["status"] == ["pending", "rejected"]


@pytest.mark.parametrize("status", ["", "all", "ACCEPTED", None, 1, []])
def test_a_member_has_no_other_status(
    status: Any, make_image: Any, member: Caller
) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)

    with pytest.raises(errors.Invalid, match='"pending", "accepted" or "rejected"'):
        sharing.set_status(image.pk, "b", status, member)


def test_members_sleep_while_the_image_is_not_shared(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)

    Image.objects.update(visibility="private")
    with pytest.raises(errors.Forbidden):
        sharing.set_status(image.pk, "b", "accepted", member)

    Image.objects.update(visibility="shared")
    assert held(image) == {"b": False}


def test_who_may_share_is_the_owner_and_whom_the_owner_lets(
    make_image: Any, member: Caller, reader: Caller, admin: Caller, stranger: Caller
) -> None:
    image = make_image()
    target = {"id": image.pk, "owner": image.owner, "visibility": "shared"}
    silent = Caller("silvia", stranger.project, implied("reader"))

    def sharers() -> list[Caller]:
        everybody = [admin, member, reader, stranger, silent]
        return [who for who in everybody if sharing.may_share(who, target)]

    sharing.set_member(image.pk, str(stranger.project), False, member)
    assert sharers() == [admin, member]

    sharing.set_member(image.pk, str(stranger.project), True, member)
    assert sharers() == [admin, member, stranger]


def test_what_is_shared_with_a_project_is_its_own_and_the_owner_s_to_know(
    make_image: Any, member: Caller, admin: Caller, stranger: Caller
) -> None:
    ours, others, private = make_image(), make_image(owner="c"), make_image()
    gone = make_image("deleted")
    for image in (ours, others, private, gone):
        image.members.create(member=stranger.project)
    Image.objects.filter(pk=private.pk).update(visibility="private")

    def told_to(who: Caller) -> list[str]:
        found = sharing.shared_with(who, str(stranger.project))
        return [one.image_id for one in found]

    assert told_to(admin) == told_to(stranger) == [ours.pk, others.pk]
    assert told_to(member) == [ours.pk]
    assert sharing.shared_with(Caller("d", "d", implied("member")), "c") == []


def test_a_limited_credential_of_a_member_that_may_share_does_only_what_it_may(
    make_image: Any, stranger: Caller
) -> None:
    image = make_image()
    image.members.create(member=stranger.project, can_share=True)
    target = {"id": image.pk, "owner": image.owner, "visibility": "shared"}
    limited = replace(stranger, actions=frozenset({"add_member"}))

    assert sharing.may_share(limited, target, "add_member")
    assert not sharing.may_share(limited, target, "delete_member")
    assert sharing.may_share(stranger, target, "delete_member")


def test_a_caller_without_a_project_sees_no_membership(
    make_image: Any, member: Caller, stranger: Caller
) -> None:
    image = make_image()
    sharing.add(image.pk, "b", member)
    target = {"id": image.pk, "owner": image.owner, "visibility": "shared"}

    def seen(caller: Caller) -> list[str]:
        only = sharing.only_seen(caller, target)
        return [entry.member for entry in sharing.members(image.pk, only)]

    assert seen(replace(stranger, project=None)) == seen(stranger) == []
    assert seen(replace(stranger, project="b")) == seen(member) == ["b"]


def test_members_above_a_lowered_limit_can_be_changed(
    make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image()
    for project in ("b", "c", "d"):
        sharing.add(image.pk, project, member)
    settings.IMAGECATALOG_IMAGE_MEMBER_QUOTA = 1

    sharing.set_member(image.pk, "b", True, member)
    sharing.replace(image.pk, {"b": None, "c": None}, member)

    assert [entry.member for entry in sharing.members(image.pk)] == ["b", "c"]
