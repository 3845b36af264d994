"""API views for the members of an image: the projects with which it is shared."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors
from images.access import Caller
from images.api.v1.views import V1ViewSet
from images.http import request_body, responses
from images.http.views import NAME, get_caller
from images.lifecycle import sharing
from images.models.rows import Row

FALSE: Final = frozenset({"", "0", "f", "false", "n", "no", "none", "null", "off"})


class ImageMemberViewSet(V1ViewSet):
    """``/v1/images/{id}/members``: the projects with which an image is shared."""

    lookup_url_kwarg = "member_id"
    lookup_value_regex = NAME
    # 404, so that a caller without permission to share does not learn that the image exists.
    error_status: ClassVar = V1ViewSet.error_status | {errors.Forbidden: 404}

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return the members of an image that the caller is allowed to see."""
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "get_members")
        members = sharing.members(image_id, _only(caller, image))
        documents = [
            _document("member_id", member.member, member.can_share)
            for member in members
            if sharing.is_visible(caller, image, member)
        ]
        return responses.spaced_json({"members": documents})

    def replace(self, request: Request, image_id: str) -> HttpResponse:
        """Replace all members of an image by the projects in the JSON body."""
        caller = _sharer(request, image_id, "add_member", "delete_member")
        memberships = _memberships(request_body.json(request._request))
        sharing.replace(image_id, memberships, caller)
        return responses.nothing()

    def update(self, request: Request, image_id: str, member_id: str) -> HttpResponse:
        """Share an image with a project, or set whether that project can share the image further."""
        caller = _sharer(request, image_id, "add_member")
        can_share = _can_share(request_body.raw(request._request, request_body.SMALL))
        sharing.set_member(image_id, member_id, can_share, caller)
        return responses.nothing()

    def destroy(self, request: Request, image_id: str, member_id: str) -> HttpResponse:
        """Stop sharing an image with a project."""
        caller = _sharer(request, image_id, "delete_member")
        sharing.remove(image_id, member_id, caller)
        return responses.nothing()


class SharedImageViewSet(V1ViewSet):
    """``/v1/shared-images/{member_id}``: the images that are shared with a project."""

    lookup_url_kwarg = "member_id"
    lookup_value_regex = NAME

    def retrieve(self, request: Request, member_id: str) -> HttpResponse:
        """Return the images shared with a project, except those that the caller is not allowed to see."""
        caller = get_caller(request)
        access.check(caller, "get_images", {"owner": None})
        memberships = sharing.shared_with(caller, member_id)
        documents = [
            _document("image_id", membership.image_id, membership.can_share)
            for membership in memberships
        ]
        return responses.spaced_json({"shared_images": documents})


def _sharer(request: Request, image_id: str, *actions: str) -> Caller:
    """Return the request's caller if it is allowed all these actions on the image's members.

    Raises NotFound if the caller does not see the image, Forbidden if an action is not allowed.
    """
    caller = get_caller(request)
    image = access.find(caller, image_id)
    if not all(sharing.may_share(caller, image, action) for action in actions):
        raise errors.Forbidden(f"No permission to share image {image_id}")
    return caller


def _only(caller: Caller, image: Row) -> str | None:
    """Return the one project whose membership the caller sees; None if it sees all.

    A project that can share the image sees all members.
    """
    if sharing.may_share(caller, image):
        return None
    return sharing.only_seen(caller, image)


def _document(name: str, value: str, can_share: bool) -> dict[str, Any]:
    return {name: value, "can_share": can_share}


def _memberships(document: Any) -> dict[str, bool | None]:
    """Parse the document ``{"memberships": [{"member_id", "can_share"?}]}`` into project -> can_share.

    A ``can_share`` that is not given becomes None. Raises Invalid for any other document.
    """
    entries = document.get("memberships") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise errors.Invalid(
            'Invalid membership association. Send {"memberships": […]}.'
        )
    return dict(map(_membership, entries))


def _membership(entry: Any) -> tuple[str, bool | None]:
    if not isinstance(entry, dict) or not isinstance(entry.get("member_id"), str):
        raise errors.Invalid(
            "Invalid membership association. Give each one a 'member_id'."
        )
    return entry["member_id"], _flag(entry)


def _can_share(content: bytes) -> bool | None:
    """Return ``can_share`` from a request body ``{"member": {"can_share": …}}``.

    Returns None if the body is empty or has no ``can_share``. Raises Invalid for any other
    body.
    """
    if not content:
        return None
    document = request_body.parsed(content)
    member = document.get("member") if isinstance(document, dict) else None
    if not isinstance(member, dict):
        raise errors.Invalid('Invalid membership. Send {"member": {"can_share": …}}.')
    return _flag(member)


def _flag(entry: dict[str, Any]) -> bool | None:
    """Return the member ``can_share`` of a JSON object as a boolean; None if the object lacks it.

    Strings such as "no" count as false.
    """
    if "can_share" not in entry:
        return None
    flag = entry["can_share"]
    return flag.strip().lower() not in FALSE if isinstance(flag, str) else bool(flag)
