"""Members: the projects with which an image is shared. Every change of them, for every door.

Who may is asked at the door; what can be is decided here, under the lock of the image's row.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Q
from django.utils import timezone

from images import access, attributes, errors
from images.access import Caller, Target
from images.models import Image, Member, MemberStatus
from images.transitions import locked, record

Members = list[Member]


def members(image_id: str, only: str | None = None) -> Members:
    """The members of an image, in the order in which they were added; or only this one."""
    found = Member.objects.filter(image=image_id).order_by("pk")
    return list(found if only is None else found.filter(member=only))


def member(image: Target, project: str, only: str | None = None) -> Member:
    """One member of an image that is ``shared``; of whom only that one may be told, if named.

    Raises NotFound, Invalid.
    """
    if image["visibility"] != "shared" or only not in (None, project):
        raise _no_member(image["id"], project)
    return _member(image["id"], project)


def shared_with(caller: Caller, project: str) -> Members:
    """The memberships of a project, as far as they are the caller's to know; oldest first.

    Those are all for an admin, else one's own and those in one's own images. Raises Invalid.
    """
    images = Image.objects.existing().exclude(visibility="private")
    if not caller.is_admin and caller.project != project:
        images = images.filter(owner=caller.project)
    found = Member.objects.filter(member=_clean(project), image__in=images)
    return list(found.order_by("pk"))


def may_share(caller: Caller, image: Target, action: str = "add_member") -> bool:
    """Does the image belong to the caller's project, or was that one allowed to pass it on?

    ``image`` has id, owner and visibility. Only API v1 gives that permission to members, and
    it is to do both: ``add_member`` and ``delete_member``.
    """
    if access.may(caller, action, image):
        return True
    passing_on = Q(image=image["id"], member=caller.project, can_share=True)
    return (
        "member" in caller.roles
        and access.key_allows(caller, action)
        and image["visibility"] == "shared"
        and Member.objects.filter(passing_on).exists()
    )


def add(image_id: str, project: str, actor: Caller) -> Member:
    """Share an image with a project, which then sees and downloads it, ``pending`` as it is.

    Raises Forbidden (the image is not ``shared``), Conflict (a member already), OverLimit,
    Invalid, NotFound.
    """
    name = _clean(project)
    with locked(image_id) as image:
        check_shared(image.visibility)
        held = members(image_id)
        if any(one.member == name for one in held):
            raise errors.Conflict(
                f"Member {name} is duplicated for image {image_id}: it is one already."
            )
        attributes.check_member_count(len(held) + 1)
        return _add(image, name, False, actor)


def put(image_id: str, project: str, can_share: bool | None, actor: Caller) -> None:
    """Make a project a member, or change whether it may share the image further.

    ``can_share`` None leaves a member as it is; a new one may not. Of a public image members
    mean nothing until it is ``shared``. Raises Forbidden for a private one, OverLimit,
    Invalid, NotFound.
    """
    name = _clean(project)
    with locked(image_id) as image:
        _check_not_private(image)
        held = {one.member: one for one in members(image_id)}
        attributes.check_member_count(len({*held, name}))
        _put(image, held.get(name), name, can_share, actor)


def replace(image_id: str, wanted: Mapping[str, bool | None], actor: Caller) -> None:
    """Make these projects the members, and no others; the values are as of ``put``.

    Raises what ``put`` raises; then nothing has changed.
    """
    chosen = {_clean(project): can_share for project, can_share in wanted.items()}
    with locked(image_id) as image:
        _check_not_private(image)
        attributes.check_member_count(len(chosen))
        held = {one.member: one for one in members(image_id)}
        for name in held.keys() - chosen.keys():
            _remove(image, held[name], actor)
        for name, can_share in chosen.items():
            _put(image, held.get(name), name, can_share, actor)


def remove(image_id: str, project: str, actor: Caller) -> None:
    """Stop sharing an image with a project. Raises NotFound, Invalid."""
    with locked(image_id) as image:
        _remove(image, _member(image_id, project), actor)


def set_status(image_id: str, project: str, status: str, actor: Caller) -> Member:
    """Accept, reject or put off: says whether the image is in that project's lists.

    Raises Forbidden (the image is not ``shared``), Invalid, NotFound.
    """
    check_status(status)
    with locked(image_id) as image:
        check_shared(image.visibility)
        found = _member(image_id, project)
        before, found.status = found.status, status
        found.updated_at = timezone.now()
        found.save(update_fields=["status", "updated_at"])
        if before != status:
            detail = {"member": found.member, "status": [before, status]}
            record(
                image, "set_member_status", actor, before=image.status, detail=detail
            )
    return found


def check_shared(visibility: str) -> None:
    """Raise Forbidden for images that have no members, whatever they had before."""
    if visibility != "shared":
        raise errors.Forbidden("Only shared images have members.")


def check_status(status: object) -> None:
    """Raise Invalid for what is no status of a member."""
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
    found = members(image_id, _clean(project))
    if not found:
        raise _no_member(image_id, project)
    return found[0]


def _no_member(image_id: str, project: str) -> errors.NotFound:
    return errors.NotFound(
        f"{project} not found in the member list of the image {image_id}."
    )


def _put(
    image: Image, held: Member | None, name: str, can_share: bool | None, actor: Caller
) -> None:
    if held is None:
        _add(image, name, bool(can_share), actor)
    elif can_share is not None and can_share != held.can_share:
        held.can_share, held.updated_at = can_share, timezone.now()
        held.save(update_fields=["can_share", "updated_at"])
        detail = {"member": name, "can_share": [not can_share, can_share]}
        record(image, "change_member", actor, before=image.status, detail=detail)


def _add(image: Image, name: str, can_share: bool, actor: Caller) -> Member:
    added = Member(image=image, member=name, can_share=can_share)
    added.updated_at = added.created_at
    added.save(force_insert=True)
    detail = {"member": name, "can_share": can_share}
    record(image, "add_member", actor, before=image.status, detail=detail)
    return added


def _remove(image: Image, held: Member, actor: Caller) -> None:
    held.delete()
    detail = {"member": held.member}
    record(image, "remove_member", actor, before=image.status, detail=detail)
