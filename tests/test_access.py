"""Who may do what: the default rules of the Image API as tables."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from images import access, errors
from images.access import RULES, Caller, implied
from images.models import Image, Member, rows

OWNER, OTHER = "project-a", "project-b"

METADEF_READING = (
    "get_metadef_namespace",
    "get_metadef_namespaces",
    "get_metadef_object",
    "get_metadef_objects",
    "get_metadef_property",
    "get_metadef_properties",
    "get_metadef_tag",
    "get_metadef_tags",
    "get_metadef_resource_type",
    "list_metadef_resource_types",
    "metadef_default",
)
METADEF_CHANGING = (
    "metadef_admin",
    "add_metadef_namespace",
    "modify_metadef_namespace",
    "delete_metadef_namespace",
    "add_metadef_object",
    "modify_metadef_object",
    "delete_metadef_object",
    "add_metadef_property",
    "modify_metadef_property",
    "remove_metadef_property",
    "add_metadef_tag",
    "add_metadef_tags",
    "modify_metadef_tag",
    "delete_metadef_tag",
    "delete_metadef_tags",
    "add_metadef_resource_type_association",
    "remove_metadef_resource_type_association",
)

# Which roles, in the project that owns the image and in another one, each rule allows.
# A service is allowed wherever it says so; an admin of any project is one of all.
WITHIN = {
    "add_image": "admin member",
    "modify_image": "admin member",
    "delete_image": "admin member",
    "upload_image": "admin member",
    "deactivate": "admin member",
    "reactivate": "admin member",
    "communitize_image": "admin member",
    "set_image_location": "admin member",
    "copy_from": "admin member",
    "get_image_location": "admin member reader service",
    "get_image": "admin member reader",
    "get_images": "admin member reader",
    "download_image": "admin member",
    "download_from_store": "admin member",
    "publicize_image": "admin",
    "change_owner": "admin",
    "download_deactivated": "admin",
    "download_damaged": "",
    "delete_image_location": "admin",
    "add_location_to_active": "admin service",
    "add_image_location": "admin member service",
    "fetch_image_location": "admin service",
    "get_members": "admin member reader",
    "get_member": "admin member reader",
    "get_other_members": "admin member reader",
    "add_member": "admin member",
    "delete_member": "admin member",
    "modify_member": "admin",
    "stores_info_detail": "admin service",
    "tasks_api_access": "admin",
    "copy_image": "admin",
    **dict.fromkeys(
        (
            "cache_list",
            "cache_image",
            "cache_delete",
            "cache_clean",
            "cache_prune",
            "list_cached_nodes",
        ),
        "admin",
    ),
    "get_image_history": "admin member reader",
    "restore_image": "admin",
    # The same for the project that owns a namespace of metadata definitions.
    **dict.fromkeys(METADEF_READING, "admin member reader"),
    **dict.fromkeys(METADEF_CHANGING, "admin"),
    "show_quota": "admin member reader",
    "change_quota": "admin",
    "get_retention": "admin",
    "manage_retention": "admin",
    # The same for the project that owns a family.
    "get_family": "admin member reader",
    "manage_family": "admin member",
    "promote_family": "admin member",
    "publish_family": "admin",
    # The same for the project of a job.
    "get_job": "admin member reader",
    "manage_job": "admin member",
}
ELSEWHERE = dict.fromkeys(WITHIN, "admin") | {
    "get_image": "admin member reader",
    "get_images": "admin member reader",
    "download_image": "admin member",
    "download_from_store": "admin member",
    "add_location_to_active": "admin service",
    "add_image_location": "admin service",
    "fetch_image_location": "admin service",
    "get_image_location": "admin service",
    "stores_info_detail": "admin service",
    "get_members": "admin member reader",
    "get_member": "admin member reader",
    "get_family": "admin member reader",
    "download_damaged": "",
    **dict.fromkeys(METADEF_READING, "admin member reader"),
}
ROLES = ("admin", "member", "reader", "service", "none")


def caller(role: str, project: str | None) -> Caller:
    return Caller("user", project, implied(role))


def test_the_tables_name_every_rule() -> None:
    assert WITHIN.keys() == ELSEWHERE.keys() == RULES.keys()


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_do_with_its_own_project_s_images(
    role: str, action: str
) -> None:
    allowed = access.may(caller(role, OWNER), action, {"owner": OWNER})

    assert allowed == (role in WITHIN[action].split())


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_do_with_images_of_others(role: str, action: str) -> None:
    allowed = access.may(caller(role, OTHER), action, {"owner": OWNER})

    assert allowed == (role in ELSEWHERE[action].split())


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("project", [OTHER, None])
def test_nobody_owns_an_image_without_an_owner(
    project: str | None, action: str
) -> None:
    allowed = access.may(caller("member", project), action, {"owner": None})

    assert allowed == ("member" in ELSEWHERE[action].split())


@pytest.mark.parametrize("role", ROLES)
def test_only_the_member_itself_answers(role: str) -> None:
    target = {"owner": OWNER, "member_id": OTHER}
    allowed = [
        access.may(caller(role, project), "modify_member", target)
        for project in (OTHER, OWNER, None)
    ]

    assert allowed == [role in ("admin", "member"), role == "admin", role == "admin"]


def test_a_refusal_says_what_was_refused() -> None:
    with pytest.raises(errors.Forbidden, match="not authorized to complete publicize"):
        access.check(caller("member", OWNER), "publicize_image", {"owner": OWNER})


def test_rules_see_what_a_new_image_sets_and_the_defaults_of_the_rest() -> None:
    first = access.new_image({"name": "a", "min_ram": 512}, {"x": "y"}, ["b"])
    second = access.new_image({}, {}, [])

    row = rows.row_of(Image(name="a", min_ram=512, properties={"x": "y"}, tags=["b"]))
    meaningless = {"id", "created_at", "updated_at"}
    assert {name for name in row if first[name] != row[name]} <= meaningless
    assert (second["name"], second["min_ram"]) == (None, 0)
    assert (second["properties"], second["tags"]) == ({}, [])


def test_each_role_includes_the_ones_below() -> None:
    assert implied("admin") == {"admin", "member", "reader"}
    assert implied("member") == {"member", "reader"}
    assert implied("reader", "service") == {"reader", "service"}
    assert implied() == frozenset()


def test_an_operator_may_everything_and_owns_nothing() -> None:
    operator = access.operator("command")

    refused = [it for it in RULES if not access.may(operator, it, {"owner": OWNER})]
    assert refused == ["download_damaged"]
    assert (operator.project, operator.interface) == (None, "command")


# Who sees what

# By id: of the owner's project, of one it is shared with, of any other.
SEEN = {
    "private": (True, False, False),
    "shared": (True, True, False),
    "community": (True, True, True),
    "public": (True, True, True),
}
PROJECTS = (OWNER, "project-guest", OTHER)


def sees(who: Caller, image: Image) -> bool:
    return Image.objects.filter(access.seen_by(who), pk=image.pk).exists()


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("role", ["member", "reader"])
@pytest.mark.parametrize("visibility", SEEN)
def test_who_sees_an_image_by_its_id(
    visibility: str, role: str, hidden: bool, make_image: Callable[..., Image]
) -> None:
    image = make_image(visibility=visibility, os_hidden=hidden)
    Member.objects.create(image=image, member="project-guest")

    seen = tuple(sees(caller(role, project), image) for project in PROJECTS)

    assert seen == SEEN[visibility]


@pytest.mark.parametrize("visibility", SEEN)
def test_an_admin_sees_all_and_who_has_no_role_sees_nothing(
    visibility: str, make_image: Callable[..., Image]
) -> None:
    image = make_image(visibility=visibility)

    assert sees(caller("admin", OTHER), image)
    assert not sees(caller("none", OWNER), image)
    assert not sees(caller("service", OWNER), image)


@pytest.mark.parametrize("visibility", SEEN)
def test_an_image_without_an_owner_is_seen_by_all(
    visibility: str, make_image: Callable[..., Image]
) -> None:
    image = make_image(visibility=visibility, owner=None)

    assert sees(caller("reader", OTHER), image)


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_a_shared_image_is_seen_whatever_was_answered(
    status: str, make_image: Callable[..., Image]
) -> None:
    image = make_image()
    Member.objects.create(image=image, member=OTHER, status=status)

    assert sees(caller("reader", OTHER), image)


def test_a_share_of_another_image_opens_nothing(
    make_image: Callable[..., Image],
) -> None:
    image = make_image()
    Member.objects.create(image=make_image(), member=OTHER)

    assert not sees(caller("member", OTHER), image)


@pytest.mark.parametrize("visibility", SEEN)
@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("role", ["admin", "member", "reader", "service", "none"])
def test_what_is_not_seen_is_missing_and_what_is_may_be_forbidden(
    role: str, project: str, visibility: str, make_image: Callable[..., Image]
) -> None:
    image = make_image(visibility=visibility)
    Member.objects.create(image=image, member="project-guest")
    who = caller(role, project)

    # A service may do what its rules allow, and nothing else tells it that the image exists.
    reach = caller("reader", project) if role == "service" else who
    target = {"owner": image.owner, "visibility": visibility}
    is_in_reach = sees(reach, image)
    refused = errors.Forbidden if sees(who, image) else errors.NotFound

    for action in RULES:
        allowed = is_in_reach and access.may(who, action, target)
        expected = None if allowed else refused
        assert refusal(who, image.pk, action) is expected, action


def refusal(who: Caller, image_id: str, action: str) -> type[Exception] | None:
    try:
        access.get_image(who, image_id, action)
    except errors.ImageError as error:
        return type(error)
    return None


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_a_deleted_image_is_missing_also_for_admins(
    status: str, make_image: Callable[..., Image], admin: Caller
) -> None:
    image = make_image(status)

    assert refusal(admin, image.pk, "get_image") is errors.NotFound


@pytest.mark.django_db
def test_the_same_is_said_of_hidden_and_of_missing_images(
    make_image: Callable[..., Image], stranger: Caller
) -> None:
    for image_id in (make_image().pk, str(uuid4())):
        with pytest.raises(errors.NotFound) as refused:
            access.get_image(stranger, image_id)
        assert str(refused.value) == f"No image found with ID {image_id}"
