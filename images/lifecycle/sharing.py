"""Members: the projects with which an image is shared, and every change of them.

The interface checks whether the caller has permission; this module checks, under the lock of
the image's row, whether the image's state allows the change.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Q
from django.utils import timezone

from images import access, attributes, errors
from images.access import Caller, Target
from images.events import record
from images.models import Image, Member, MemberStatus, rows
from images.transitions import locked

Members = list[Member]


def members(image_id: str, only: str | None = None) -> Members:
    """Return the members of an image, in the order in which they were added.

    With ``only``, the id of a project, at most the member with this id is returned; no member if it
    is empty.
    """
    found = Member.objects.filter(image=image_id).order_by("pk")
    return list(found if only is None else found.filter(member=only))


def member(image: Target, project: str, only: str | None = None) -> Member:
    """Return one member of a ``shared`` image.

    ``only`` is the result of ``only_seen``. Raises NotFound if there is no such member or the caller
    is not allowed to see it, Invalid for text that cannot be a project id.
    """
    if image["visibility"] != "shared" or only not in (None, project):
        raise no_member(image["id"], project)
    return _member(image["id"], project)


def only_seen(caller: Caller, image: Target) -> str | None:
    """Return the one project whose membership in an image the caller is allowed to see; None: all.

    A caller without a project sees no membership: the result is empty, which is no project's id.
    """
    if access.may(caller, "get_other_members", image):
        return None
    return caller.project or ""


def is_visible(caller: Caller, image: Target, member: Member) -> bool:
    """Return whether the rule ``get_member`` allows the caller to see this member of an image."""
    target = {**image, "member_id": member.member}
    return access.rule_allows(caller, "get_member", target)


def shared_with(caller: Caller, project: str) -> Members:
    """Return the memberships of a project that the caller is allowed to see, oldest first.

    An admin, and a caller of this project, sees all memberships. Any other caller sees only the
    memberships in images that its own project owns. A rule in the policy file can hide more. At
    most two queries. Raises Invalid for text that cannot be a project id.
    """
    images = Image.objects.existing().exclude(visibility="private")
    if not caller.is_admin and caller.project != project:
        images = images.filter(owner=caller.project)
    name = _clean(project)
    found = Member.objects.filter(member=name, image__in=images)
    memberships = list(found.order_by("pk"))
    if not {"get_image", "get_member"} & access.overrides().keys():
        return memberships
    shared = rows.fetch(rows.statement(images.filter(members__member=name)))
    shown = {image["id"]: image for image in access.visible(caller, shared)}
    return [
        one
        for one in memberships
        if one.image_id in shown and is_visible(caller, shown[one.image_id], one)
    ]


def may_share(caller: Caller, image: Target, action: str = "add_member") -> bool:
    """Return whether the caller is allowed to add members to an image, or to do another ``action``.

    The caller is allowed if its project owns the image and the access rules allow ``action``,
    or if its project is a member of the image with ``can_share``. Only API v1 sets
    ``can_share``, which permits both ``add_member`` and ``delete_member``.
    """
    if access.owns(caller, image["owner"]):
        return access.may(caller, action, image)
    can_share = Q(image=image["id"], member=caller.project, can_share=True)
    return (
        "member" in caller.roles
        and access.key_allows(caller, action)
        and image["visibility"] == "shared"
        and access.rule_allows(caller, "get_image", image)
        and Member.objects.filter(can_share).exists()
    )


def add(image_id: str, project: str, actor: Caller) -> Member:
    """Share an image with a project, which can then see and download it. Return the member.

    The member's status is ``pending``. Raises NotFound, Forbidden (the image is not
    ``shared``), Conflict (the project is a member already), OverLimit (too many members),
    Invalid (``project`` cannot be a project id).
    """
    name = _clean(project)
    with locked(image_id) as image:
        check_shared(image.visibility)
        present = members(image_id)
        if any(entry.member == name for entry in present):
            raise errors.Conflict(
                f"Member {name} is duplicated for image {image_id}: it is one already."
            )
        attributes.check_member_count(len(present) + 1)
        return _add(image, name, False, actor)


def set_member(
    image_id: str, project: str, can_share: bool | None, actor: Caller
) -> None:
    """Share an image with a project, or change whether this member can share the image further.

    With ``can_share`` None an existing member stays as it is, and a new member gets False.
    Members of a public image have no effect until the image is ``shared``. Raises NotFound,
    Forbidden for a private image, OverLimit for too many members, Invalid for text that cannot
    be a project id.
    """
    name = _clean(project)
    with locked(image_id) as image:
        _check_not_private(image)
        present = {entry.member: entry for entry in members(image_id)}
        if name not in present:
            attributes.check_member_count(len(present) + 1)
        _put(image, present.get(name), name, can_share, actor)


def replace(image_id: str, wanted: Mapping[str, bool | None], actor: Caller) -> None:
    """Replace all members of an image by the projects in ``wanted``, each with its ``can_share``.

    With ``can_share`` None an existing member stays as it is, and a new member gets False.
    Raises NotFound, Forbidden for a private image, OverLimit for too many members, Invalid for
    text that cannot be a project id. After an error no member has changed.
    """
    chosen = {_clean(project): can_share for project, can_share in wanted.items()}
    with locked(image_id) as image:
        _check_not_private(image)
        present = {entry.member: entry for entry in members(image_id)}
        if chosen.keys() - present.keys():
            attributes.check_member_count(len(chosen))
        for name in present.keys() - chosen.keys():
            _remove(image, present[name], actor)
        for name, can_share in chosen.items():
            _put(image, present.get(name), name, can_share, actor)


def remove(image_id: str, project: str, actor: Caller) -> None:
    """Stop sharing an image with a project.

    Raises NotFound if the project is not a member, Invalid for text that cannot be a project
    id.
    """
    with locked(image_id) as image:
        _remove(image, _member(image_id, project), actor)


def set_status(image_id: str, project: str, status: str, actor: Caller) -> Member:
    """Set whether a project accepts an image: only accepted images are in the project's lists.

    Returns the member. Raises NotFound, Forbidden if the image is not ``shared``, and Invalid
    if ``status`` is not a status of members.
    """
    check_status(status)
    with locked(image_id) as image:
        check_shared(image.visibility)
        entry = _member(image_id, project)
        before, entry.status = entry.status, status
        entry.updated_at = timezone.now()
        entry.save(update_fields=["status", "updated_at"])
        if before != status:
            detail = {"member": entry.member, "status": [before, status]}
            record(
                image, "set_member_status", actor, before=image.status, detail=detail
            )
    return entry


def check_shared(visibility: str) -> None:
    """Raise Forbidden unless the visibility is ``shared``: no other image has members."""
    if visibility != "shared":
        raise errors.Forbidden("Only shared images have members.")


def check_status(status: object) -> None:
    """Raise Invalid unless ``status`` is one of: pending, accepted, rejected."""
    if not isinstance(status, str) or status not in MemberStatus.values:
        raise errors.Invalid(
            'Incorrect request: Status must be "pending", "accepted" or "rejected".'
        )


def _check_not_private(image: Image) -> None:
    if image.visibility == "private":
        raise errors.Forbidden(
            f"Image {image.pk} is private. Make its visibility 'shared' first."
        )


def _clean(project: object) -> str:
    name = attributes.clean_text(project, "member")
    if not name:
        raise errors.Invalid("Member can't be empty")
    return name


def _member(image_id: str, project: str) -> Member:
    matching = members(image_id, _clean(project))
    if not matching:
        raise no_member(image_id, project)
    return matching[0]


def no_member(image_id: str, project: str) -> errors.NotFound:
    """Return the error for a project that is not a member, or a member that the caller cannot see."""
    return errors.NotFound(
        f"{project} not found in the member list of the image {image_id}."
    )


def _put(
    image: Image, entry: Member | None, name: str, can_share: bool | None, actor: Caller
) -> None:
    if entry is None:
        _add(image, name, bool(can_share), actor)
    elif can_share is not None and can_share != entry.can_share:
        entry.can_share, entry.updated_at = can_share, timezone.now()
        entry.save(update_fields=["can_share", "updated_at"])
        detail = {"member": name, "can_share": [not can_share, can_share]}
        record(image, "change_member", actor, before=image.status, detail=detail)


def _add(image: Image, name: str, can_share: bool, actor: Caller) -> Member:
    added = Member(image=image, member=name, can_share=can_share)
    added.updated_at = added.created_at
    added.save(force_insert=True)
    detail = {"member": name, "can_share": can_share}
    record(image, "add_member", actor, before=image.status, detail=detail)
    return added


def _remove(image: Image, entry: Member, actor: Caller) -> None:
    entry.delete()
    detail = {"member": entry.member}
    record(image, "remove_member", actor, before=image.status, detail=detail)
