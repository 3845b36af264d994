"""The filtered list of images from which a user has come to an image, as part of the page's URL.

Two query parameters name the list and the image's position in it. The links between the pages of
an image keep both, so that each page has a link back to the same list, and to its next image.
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
    """Return the query, with ``?``, that names a list and a position in the URL of an image's page.

    ``filters`` is the query of the list's URL, which may be empty. ``position`` is the position of
    the image in the list; the first is 0.
    """
    values = {FILTERS: filters}
    if position is not None:
        values[POSITION] = str(position)
    return f"?{urlencode(values)}"


def kept(request: HttpRequest) -> str:
    """Return the query, with ``?``, that passes on the list that the request's URL names.

    Empty if the URL names no list.
    """
    if FILTERS not in request.GET:
        return ""
    return query(request.GET[FILTERS], position(request))


def position(request: HttpRequest) -> int | None:
    """Return the position of the image in the list that the request's URL names; the first is 0.

    None if the URL has no valid position.
    """
    return units.parse_digits(request.GET.get(POSITION, ""), 8)


def list_url(request: HttpRequest) -> str:
    """Return the URL of the list that the request's URL names; else the URL of the whole list."""
    filters = request.GET.get(FILTERS, "")
    url = reverse("admin:images_image_changelist")
    return f"{url}?{filters}" if filters else url


def image_url(
    request: HttpRequest, image_id: str, page: str = "change", *more: Any, **query: Any
) -> str:
    """Return the URL of a page of an image; it names the same list of images as the request's URL.

    ``page`` is the end of the name of the URL, such as ``sharing``; ``more`` are the parts of the
    URL after the image's id, and ``query`` are parameters that are added to its query.
    """
    end = kept(request)
    if query:
        end += f"{'&' if end else '?'}{urlencode(query)}"
    return reverse(f"admin:images_image_{page}", args=[image_id, *more]) + end
