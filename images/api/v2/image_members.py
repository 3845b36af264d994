"""API views for the members of an image: the projects with which it is shared."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors, models
from images.access import Caller
from images.http import request_body, responses
from images.http.views import NAME, ApiViewSet, get_caller
from images.lifecycle import sharing
from images.models.rows import Row


class ImageMemberViewSet(ApiViewSet):
    """``/v2/images/{id}/members``: the projects with which an image is shared."""

    lookup_url_kwarg = "member_id"
    lookup_value_regex = NAME

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return the members of an image that the caller is allowed to see."""
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "get_members")
        sharing.check_shared(image["visibility"])
        members = sharing.members(image_id, sharing.only_seen(caller, image))
        documents = [
            _document(member)
            for member in members
            if sharing.is_visible(caller, image, member)
        ]
        return responses.json({"members": documents, "schema": "/v2/schemas/members"})

    def create(self, request: Request, image_id: str) -> HttpResponse:
        """Share an image with a project, and return the new membership."""
        caller = get_caller(request)
        access.get_image(caller, image_id, "add_member")
        document = _object(request)
        if "member" not in document:
            raise errors.Invalid("Member to be added not specified")
        member = sharing.add(image_id, document["member"], caller)
        return responses.json(_document(member))

    def retrieve(self, request: Request, image_id: str, member_id: str) -> HttpResponse:
        """Return one member of an image."""
        caller = get_caller(request)
        try:
            image = _image(caller, image_id, member_id, "get_member")
        except errors.Forbidden:
            if access.key_allows(caller, "get_member"):
                raise sharing.no_member(image_id, member_id) from None
            raise
        member = sharing.member(image, member_id, sharing.only_seen(caller, image))
        return responses.json(_document(member))

    def update(self, request: Request, image_id: str, member_id: str) -> HttpResponse:
        """Set the status of a member to accepted, pending or rejected; return the membership."""
        caller = get_caller(request)
        image = _image(caller, image_id, member_id, "get_member")
        sharing.member(image, member_id, sharing.only_seen(caller, image))
        access.require(caller, "modify_member", image)
        document = _object(request)
        if "status" not in document:
            raise errors.Invalid("Status not specified")
        sharing.check_status(document["status"])
        changed = sharing.set_status(image_id, member_id, document["status"], caller)
        return responses.json(_document(changed))

    def destroy(self, request: Request, image_id: str, member_id: str) -> HttpResponse:
        """Stop sharing an image with a project."""
        caller = get_caller(request)
        image = _image(caller, image_id, member_id, "delete_member")
        if not access.rule_allows(caller, "get_member", image):
            raise access.refused("get_member")
        sharing.check_shared(image["visibility"])
        sharing.remove(image_id, member_id, caller)
        return responses.nothing()


def _image(caller: Caller, image_id: str, member_id: str, action: str) -> Row:
    """Return the row of an image if the caller is allowed the action on the member ``member_id``.

    The row gets ``member_id`` as a further value, for the rule. Raises NotFound if the caller does
    not see the image, Forbidden if the action is not allowed.
    """
    image = {**access.find(caller, image_id), "member_id": member_id}
    access.require(caller, action, image)
    return image


def _object(request: Request) -> dict[str, Any]:
    document = request_body.json(request._request, request_body.SMALL)
    if not isinstance(document, dict):
        raise errors.Invalid("Unexpected body type. Expected a JSON object.")
    return document


def _document(member: models.Member) -> dict[str, Any]:
    return {
        "member_id": member.member,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": responses.second(member.created_at),
        "updated_at": responses.second(member.updated_at),
        "schema": "/v2/schemas/member",
    }
