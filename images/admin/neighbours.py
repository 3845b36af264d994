"""The previous and the next image of the filtered list from which a user has come."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse

from images.admin import list_state
from images.admin.changelist import COUNTED, ImageList
from images.models import Image

# Positions by which images of a list can have moved since the list was shown.
AROUND = 100
LONGEST = 1000  # characters of all filters of a list


class Neighbours(NamedTuple):
    """The URLs of the previous and the next image of a list; empty where there is none."""

    previous: str = ""
    next: str = ""


class _Unread(ImageList):
    """The list of images, of which only the query is used: it reads no rows from the database."""

    def get_results(self, request: HttpRequest) -> None:
        """Do nothing, so that no rows are read from the database."""


def of(request: HttpRequest, image: Image) -> Neighbours:
    """Return an image's neighbours in the list that the request's URL names. At most one query.

    An image that is no longer in the list, for example because it was deleted, keeps the neighbours
    of its position. Empty if the URL names no list.
    """
    filters = request.GET.get(list_state.FILTERS)
    if filters is None:
        return Neighbours()
    images = _images(request, filters)
    position = list_state.position(request)
    if images is None or (position or 0) > COUNTED:
        return Neighbours()
    first = max(0, (position or 0) - AROUND)
    stop = first + 2 * AROUND + 1
    ids = list(images.values_list("pk", flat=True)[first:stop])
    if image.pk in ids:
        place = ids.index(image.pk)
        before, after = place - 1, place + 1
    elif position is not None:
        before, after = position - first - 1, position - first
    else:
        return Neighbours()

    def url(index: int) -> str:
        if not 0 <= index < len(ids):
            return ""
        page = reverse("admin:images_image_change", args=[ids[index]])
        return page + list_state.query(filters, first + index)

    return Neighbours(url(before), url(after))


def _images(request: HttpRequest, filters: str) -> QuerySet[Image] | None:
    """Return the query for the images of a list, in its order; None for invalid filters.

    ``filters`` is the query of the list's URL.
    """
    parameters = QueryDict(filters)
    text = "".join(
        part for name, values in parameters.lists() for part in (name, *values)
    )
    if "\0" in text or len(text) > LONGEST:
        return None
    asked: Any = copy.copy(request)
    asked.GET = parameters
    model_admin: Any = copy.copy(admin.site.get_model_admin(Image))
    model_admin.get_changelist = lambda request, **kwargs: _Unread
    try:
        return model_admin.get_changelist_instance(asked).queryset  # type: ignore[no-any-return]
    except IncorrectLookupParameters:
        return None
