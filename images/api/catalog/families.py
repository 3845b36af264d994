"""The API views of families: list, show and change them, promote and roll back their versions."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images import (
    access,
    attributes,
    documents,
    errors,
    families,
    lifecycle,
)
from images.access import Caller
from images.api import query, serializers
from images.families import listing, values
from images.http import preconditions, public_url, request_body, responses
from images.http.views import ApiViewSet, get_caller, get_reason
from images.models import READABLE_STATUSES, Family, FamilyEvent
from images.models.rows import Row

FAMILIES = "/catalog/v1/families"
SHOWN = (
    "name",
    "owner",
    "scope",
    "title",
    "homepage",
    "architecture",
    "naming",
    "name_separator",
    "hide_old",
    "verified_only",
    "publish",
    "version",
)


class FamilyViewSet(ApiViewSet):
    """``/catalog/v1/families``: families; in paths, a family is named by its id or name."""

    lookup_url_kwarg = "family"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the families of the caller's project and of the public ones, by name.

        They come without ``description`` and ``template``, which can be long.
        """
        params = request.query_params
        query.check_text(params)
        page, marker = listing.families(
            get_caller(request),
            name=params.get("name"),
            scope=params.get("scope"),
            image=params.get("image"),
            marker=params.get("marker"),
            limit=query.page_length(params),
        )
        links = query.links(FAMILIES, params, marker)
        return responses.json({"families": [*map(_summary, page)], **links})

    def create(self, request: Request) -> HttpResponse:
        """Create a family, which is a name that always means one image, for the caller's project."""
        body = request_body.json(request._request)
        family = families.create(get_caller(request), body, get_reason(request))
        response = family_response(family, document(family), 201)
        public_url.set_location(response, request._request, f"{FAMILIES}/{family.pk}")
        return response

    def retrieve(self, request: Request, family: str) -> HttpResponse:
        """Return a family; a name means that of the caller's project, else the public one."""
        found = get_family(request, family)
        return family_response(found, document(found))

    def partial_update(self, request: Request, family: str) -> HttpResponse:
        """Change a family by a JSON merge patch; rename, hide or show its images accordingly."""
        body = request_body.json(request._request)
        outcome = families.update(
            get_caller(request),
            clean_ref(family),
            body,
            get_reason(request),
            expected=expected_versions(request),
        )
        return family_response(outcome.family, document(outcome.family))

    def destroy(self, request: Request, family: str) -> HttpResponse:
        """Delete a family. Its images stay, and keep their names."""
        families.delete(
            get_caller(request),
            clean_ref(family),
            get_reason(request),
            expected=expected_versions(request),
        )
        return responses.nothing()

    @action(detail=True, methods=["post"])
    def promote(self, request: Request, family: str) -> HttpResponse:
        """Make a version the current one of its family, in one transaction."""
        body = documents.members(request_body.json(request._request), "version")
        outcome = families.promote(
            get_caller(request),
            clean_ref(family),
            values.clean_label(body.get("version")),
            get_reason(request),
            expected=expected_versions(request),
        )
        return family_response(outcome.family, document(outcome.family))

    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, family: str) -> HttpResponse:
        """Make the version current again that was current before the present one.

        If the body has a true ``withdraw``, the present version is withdrawn: no rollback chooses
        it later.
        """
        body = request_body.optional_json(request._request)
        withdraw = documents.members(body, "withdraw").get("withdraw", False)
        outcome = families.rollback(
            get_caller(request),
            clean_ref(family),
            get_reason(request),
            withdraw=documents.clean_flag("withdraw", withdraw),
            expected=expected_versions(request),
        )
        return family_response(outcome.family, document(outcome.family))

    @action(detail=True)
    def image(self, request: Request, family: str) -> HttpResponse:
        """Return the current image of a family, as API v2 shows it."""
        caller = get_caller(request)
        row = _current(request, caller, family, "get_image")
        response = responses.json(serializers.image(row, caller))
        digest = hashlib.sha256(response.content, usedforsecurity=False)
        etag = digest.hexdigest()[:32]
        if preconditions.has_current(request._request, etag):
            response = responses.not_modified(None)
        response.headers["ETag"] = f'"{etag}"'
        response.headers["Content-Location"] = f"/v2/images/{row['id']}"
        return response

    @action(detail=True, methods=["get", "head"])
    def file(self, request: Request, family: str) -> HttpResponse:
        """Redirect to the data of the current image of a family."""
        caller = get_caller(request)
        row = _current(request, caller, family, "download_image")
        if row["status"] not in READABLE_STATUSES:
            raise errors.NotFound("The current image of the family has no data.")
        lifecycle.check_download(caller, row)
        response = responses.nothing(307)
        public_url.set_location(
            response, request._request, f"/v2/images/{row['id']}/file"
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @action(detail=True)
    def history(self, request: Request, family: str) -> HttpResponse:
        """Return a page of a family's events, oldest first."""
        caller, params = get_caller(request), request.query_params
        found = get_family(request, family)
        page, marker = listing.events(
            found,
            marker=query.number_marker(params),
            limit=query.page_length(params),
        )
        is_own = access.owns(caller, found.owner)
        links = query.links(f"{FAMILIES}/{found.pk}/history", params, marker)
        return responses.json({"history": [_event(it, is_own) for it in page], **links})


def document(family: Family) -> dict[str, Any]:
    """Return a family as a JSON object."""
    return _summary(family) | {name: getattr(family, name) for name in listing.LONG}


def family_response(family: Family, body: Any, status: int = 200) -> HttpResponse:
    """Return a response with a JSON document, and with the family's version as its ETag."""
    return responses.versioned(body, family.version, status)


def expected_versions(request: Request) -> frozenset[int] | None:
    """Return the versions of a family that the request's If-Match accepts; None if it accepts any.

    A family's version is the number in its ETag.
    """
    return preconditions.versions(request._request)


def get_family(request: Request, name: str) -> Family:
    """Return the family that the caller names by its id or name. Raises NotFound."""
    return access.get_family(get_caller(request), clean_ref(name))


def clean_ref(name: str) -> str:
    """Return the id or name of a family in a path. Raises Invalid for text that cannot be one."""
    return attributes.clean_text(name, "name of a family")


def _summary(family: Family) -> dict[str, Any]:
    """Return a family as a JSON object without the values that lists leave out."""
    shown = {name: getattr(family, name) for name in SHOWN}
    return shown | {
        "id": str(family.pk),
        "image_name": family.name_of_current,
        "visibility": family.visibility or "keep",
        "retention": family.retention or None,
        "current": family.current and family.current.label,
        "created_at": responses.second(family.created_at),
        "updated_at": responses.second(family.updated_at),
    }


def _current(request: Request, caller: Caller, name: str, rule: str) -> Row:
    """Return the row of a family's current image, on which the caller must be allowed ``rule``.

    Raises NotFound if there is no such family or no current image, or if the caller cannot see
    them, and Forbidden if ``rule`` does not allow it.
    """
    family = get_family(request, name)
    if family.current is None:
        raise errors.NotFound(f"Family {family.name} has no current image.")
    return access.get_image(caller, family.current.image_id, rule)


def _event(event: FamilyEvent, is_own: bool) -> dict[str, Any]:
    shown = {
        "id": event.pk,
        "at": responses.instant(event.at),
        "verb": event.verb,
        "from": event.from_version or None,
        "to": event.to_version or None,
    }
    if not is_own:  # other projects see public families, but not who works on them
        return shown
    names = ("actor", "project", "interface", "request_id", "reason", "detail")
    return shown | {name: getattr(event, name) for name in names}
