"""Members: the projects with which an image is shared."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors
from images.access import Caller
from images.api.v1.views import V1View
from images.http import request_body, responses
from images.http.views import get_caller
from images.lifecycle import sharing
from images.models.rows import Row


class MembersView(V1View):
    # Who may not share is not told whether there is anything to share.
    error_status: ClassVar = V1View.error_status | {errors.Forbidden: 404}


class Members(MembersView):
    http_method_names = ["get", "put"]

    def get(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "get_members")
        found = sharing.members(image_id, _only(caller, image))
        shown = [_shown("member_id", one.member, one.can_share) for one in found]
        return responses.json({"members": shown})

    def put(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        wanted = _memberships(request_body.json(request._request))
        caller = _sharer(request, image_id, "add_member", "delete_member")
        sharing.replace(image_id, wanted, caller)
        return responses.nothing()


class Member(MembersView):
    http_method_names = ["put", "delete"]

    def put(
        self, request: Request, image_id: str, member_id: str, **kwargs: str
    ) -> HttpResponse:
        can_share = _can_share(request_body.raw(request._request))
        caller = _sharer(request, image_id, "add_member")
        sharing.put(image_id, member_id, can_share, caller)
        return responses.nothing()

    def delete(
        self, request: Request, image_id: str, member_id: str, **kwargs: str
    ) -> HttpResponse:
        request_body.refuse(request._request)
        caller = _sharer(request, image_id, "delete_member")
        sharing.remove(image_id, member_id, caller)
        return responses.nothing()


class SharedImages(V1View):
    http_method_names = ["get"]

    def get(self, request: Request, member_id: str, **kwargs: str) -> HttpResponse:
        caller = get_caller(request)
        access.check(caller, "get_images", {"owner": None})
        found = sharing.shared_with(caller, member_id)
        shown = [_shown("image_id", one.image_id, one.can_share) for one in found]
        return responses.json({"shared_images": shown})


def _sharer(request: Request, image_id: str, *actions: str) -> Caller:
    """Who asks, when it sees the image and may do all this. Raises NotFound, Forbidden."""
    caller = get_caller(request)
    image = access.see(caller, image_id)
    if not all(sharing.may_share(caller, image, action) for action in actions):
        raise errors.Forbidden(f"No permission to share image {image_id}")
    return caller


def _only(caller: Caller, image: Row) -> str | None:
    """Whose membership the caller may see: a member its own, who may share all (None)."""
    all_of_them = access.may(caller, "get_other_members", image) or sharing.may_share(
        caller, image
    )
    return None if all_of_them else caller.project


def _shown(name: str, value: str, can_share: bool) -> dict[str, Any]:
    return {name: value, "can_share": can_share}


def _memberships(document: Any) -> dict[str, bool | None]:
    """From ``{"memberships": [{"member_id", "can_share"?}]}``. Raises Invalid."""
    wanted = document.get("memberships") if isinstance(document, dict) else None
    if not isinstance(wanted, list):
        raise errors.Invalid(
            'Invalid membership association: send {"memberships": […]}.'
        )
    return dict(map(_membership, wanted))


def _membership(entry: Any) -> tuple[str, bool | None]:
    if not isinstance(entry, dict) or not isinstance(entry.get("member_id"), str):
        raise errors.Invalid("Invalid membership association: each has a 'member_id'.")
    return entry["member_id"], _flag(entry)


def _can_share(content: bytes) -> bool | None:
    """From ``{"member": {"can_share": …}}``, or from nothing. Raises Invalid."""
    if not content:
        return None
    document = request_body.parsed(content)
    member = document.get("member") if isinstance(document, dict) else None
    if not isinstance(member, dict):
        raise errors.Invalid('Invalid membership: send {"member": {"can_share": …}}.')
    return _flag(member)


def _flag(entry: dict[str, Any]) -> bool | None:
    flag = entry.get("can_share")
    if flag is not None and not isinstance(flag, bool):
        raise errors.Invalid("can_share must be true or false.")
    return flag
