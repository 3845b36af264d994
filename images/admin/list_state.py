"""The filtered list from which a user has come to an image, as a part of the URLs of its pages.

The pages of an image pass it on to each other, so that the way back leads to the same list, and a
page knows the next image in it.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from images import units

FILTERS = "_changelist_filters"  # Django's name for the query of a list
POSITION = "at"  # of the image in the list; the first is 0


def query(filters: str, position: int | None = None) -> str:
    """Return the end of the URL of an image's page that names the list and the image's position.

    ``filters`` is the query of the list's URL, which may be empty. The result begins with ``?``.
    """
    values = {FILTERS: filters}
    if position is not None:
        values[POSITION] = str(position)
    return f"?{urlencode(values)}"


def kept(request: HttpRequest) -> str:
    """Return the end of a URL that names the same list as the request; empty if it names none."""
    if FILTERS not in request.GET:
        return ""
    return query(request.GET[FILTERS], position(request))


def position(request: HttpRequest) -> int | None:
    """Return the position of the image in the list that the request names; None if it names none."""
    return units.parse_digits(request.GET.get(POSITION, ""), 8)


def list_url(request: HttpRequest) -> str:
    """Return the URL of the list that the request names; of all images if it names none."""
    filters = request.GET.get(FILTERS, "")
    url = reverse("admin:images_image_changelist")
    return f"{url}?{filters}" if filters else url


def image_url(
    request: HttpRequest, image_id: str, page: str = "change", *more: Any, **query: Any
) -> str:
    """Return the URL of an image's page, which names the same list as the request.

    ``page`` is the end of the name of the URL, such as ``sharing``; ``more`` are the parts of the
    URL after the image's id, and ``query`` are parameters that are added to its query.
    """
    end = kept(request)
    if query:
        end += f"{'&' if end else '?'}{urlencode(query)}"
    return reverse(f"admin:images_image_{page}", args=[image_id, *more]) + end
