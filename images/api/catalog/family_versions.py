"""The views of the versions of a family."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from images import attributes, documents, families
from images.api import query
from images.api.catalog.families import (
    FAMILIES,
    clean_ref,
    expected_versions,
    family_response,
    get_family,
)
from images.errors import Invalid
from images.families import Outcome, listing, values
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller, get_reason
from images.models import FamilyVersion
from images.operations import known_digests


class FamilyVersionViewSet(ApiViewSet):
    """``/catalog/v1/families/{family}/versions``: the images of a family, by their labels."""

    lookup_url_kwarg = "label"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request, family: str) -> HttpResponse:
        """Return a page of the versions of a family whose images the caller sees, newest first."""
        params = request.query_params
        query.check_text(params)
        found = get_family(request, family)
        page, marker = listing.versions(
            get_caller(request),
            found,
            state=params.get("state"),
            marker=params.get("marker"),
            limit=query.page_length(params),
        )
        links = query.links(f"{FAMILIES}/{found.pk}/versions", params, marker)
        shown = [_document(version, found.current_id) for version in page]
        return responses.json({"versions": shown, **links})

    def create(self, request: Request, family: str) -> HttpResponse:
        """Add an image to a family as a new version; with ``promote``, make it the current one."""
        body = documents.members(
            request_body.json(request._request),
            "image",
            "label",
            "build_date",
            "promote",
        )
        if not isinstance(body.get("image"), str):
            raise Invalid("Send the id of the image as 'image'.")
        built = body.get("build_date")
        outcome = families.add(
            get_caller(request),
            clean_ref(family),
            attributes.clean_text(body["image"], "id of an image"),
            get_reason(request),
            label=body.get("label"),
            build_date=None if built is None else values.clean_date(built),
            promote=documents.clean_flag("promote", body.get("promote", False)),
            expected=expected_versions(request),
        )
        return _response(outcome, 201)

    def partial_update(self, request: Request, family: str, label: str) -> HttpResponse:
        """Withdraw a version of a family, end its withdrawal, or change its note.

        A withdrawn version cannot become current, neither by a promotion nor by a rollback.
        """
        body = documents.members(
            request_body.json(request._request), "withdrawn", "note"
        )
        withdrawn = body.get("withdrawn")
        outcome = families.change(
            get_caller(request),
            clean_ref(family),
            values.clean_label(label),
            get_reason(request),
            withdrawn=None
            if withdrawn is None
            else documents.clean_flag("withdrawn", withdrawn),
            # Null restores the default in a merge patch.
            note=values.clean_note(body["note"] or "") if "note" in body else None,
            expected=expected_versions(request),
        )
        return _response(outcome)

    def destroy(self, request: Request, family: str, label: str) -> HttpResponse:
        """Remove a version from its family. Its image stays, and keeps its name."""
        families.remove(
            get_caller(request),
            clean_ref(family),
            values.clean_label(label),
            get_reason(request),
            expected=expected_versions(request),
        )
        return responses.nothing()


def _response(outcome: Outcome, status: int = 200) -> HttpResponse:
    family, version, _ = outcome
    assert version is not None
    return family_response(family, _document(version, family.current_id), status)


def _document(version: FamilyVersion, current: int | None) -> dict[str, Any]:
    image = version.image
    return {
        "label": version.label,
        "image": image.pk,
        "state": version.state(current),
        "build_date": version.build_date.isoformat(),
        "added_at": responses.second(version.added_at),
        "promoted_at": responses.second_or_none(version.promoted_at),
        "withdrawn": version.withdrawn,
        "note": version.note,
        "status": image.status,
        "size": image.size,
        "digests": known_digests.of_model(image),
    }
