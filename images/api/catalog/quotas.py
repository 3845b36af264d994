"""API views for the limits of projects, and for how much of them the projects use."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, attributes, errors
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller
from images.operations import fullest_projects
from images.transfers import limits, usage
from images.units import parse_number


class QuotaViewSet(ApiViewSet):
    """``/catalog/v1/quotas/{project}``: the limits of a project, sizes in MiB."""

    lookup_url_kwarg = "project"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return the projects that use most of their storage quota, fullest first.

        They are the projects that use at least ``over`` percent of their limit
        ``image_size_total``; ``over`` is a query parameter, by default 80.
        """
        access.check(get_caller(request), "change_quota", {"owner": None})
        percent = _percent(request.query_params.get("over", "80"))
        return responses.json({"quotas": fullest_projects.above(percent)})

    def retrieve(self, request: Request, project: str) -> HttpResponse:
        """Return the limits of a project by name: value, source, and how much the project uses."""
        attributes.clean_text(project, "id of a project")
        access.check(get_caller(request), "show_quota", {"owner": project})
        return responses.json(_document(project))

    def update(self, request: Request, project: str) -> HttpResponse:
        """Set the limits of a project that the body names, and return all limits.

        The value null restores the default of a limit, -1 means no limit.
        """
        attributes.clean_text(project, "id of a project")
        access.check(get_caller(request), "change_quota", {"owner": project})
        wanted = request_body.json(request._request)
        if not isinstance(wanted, dict):
            raise errors.Invalid("Send an object with limits by their names.")
        limits.set_own(project, wanted)
        return responses.json(_document(project))


def _document(project: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        name: use._asdict() for name, use in usage.in_units(project).items()
    }
    unit = limits.UNITS[limits.SIZE_TOTAL]
    document[limits.SIZE_TOTAL] |= {
        "reserved": usage.reserved(project) // unit,
        "trash": usage.trash(project) // unit,
    }
    return document


def _percent(text: str) -> int:
    try:
        percent = parse_number(text)
    except ValueError:
        percent = 0
    if percent < 1:
        raise errors.Invalid("'over' must be a whole number of percent, such as 80.")
    return percent
