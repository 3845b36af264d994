"""The choices of users for the list of images: columns, the number of rows, and saved filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images.admin.actions import require
from images.models import ListOptions, SavedFilter
from images.models.admin_list import MAX_NAME

PAGE_SIZES: Final = (25, 50, 100, 200)
MOST_FILTERS: Final = 50  # of one user
MAX_QUERY: Final = 2000  # characters
# The parameter of a saved filter that names the columns to sort by.
SORT: Final = "sort"
LIST: Final = "admin:images_image_changelist"

# The columns from which users choose, in their order: method of ImageAdmin -> title.
COLUMNS: Final[Mapping[str, Any]] = {
    "owner_shown": gettext_lazy("owner"),
    "visibility": gettext_lazy("visibility"),
    "format": gettext_lazy("format"),
    "size_shown": gettext_lazy("size"),
    "tags_shown": gettext_lazy("tags"),
    "system": gettext_lazy("operating system"),
    "age": gettext_lazy("age"),
    "changed": gettext_lazy("changed"),
    "stored": gettext_lazy("locations"),
    "progress": gettext_lazy("progress"),
    "problem": gettext_lazy("problem"),
}
DEFAULT: Final = (
    "owner_shown",
    "visibility",
    "format",
    "size_shown",
    "age",
    "stored",
    "progress",
)


class Chosen(NamedTuple):
    """The columns and the number of rows that a user has chosen."""

    columns: tuple[str, ...]
    page_size: int


def chosen(request: HttpRequest) -> Chosen:
    """Return the columns and the number of rows that the user has chosen, else the defaults.

    Makes at most one query for each request.
    """
    if not hasattr(request, "image_list"):
        request.image_list = _stored(request)  # type: ignore[attr-defined]
    found: Chosen = request.image_list  # type: ignore[attr-defined]
    return found


def _stored(request: HttpRequest) -> Chosen:
    row = ListOptions.objects.filter(user=request.user.pk).first()
    if row is None:
        return Chosen(DEFAULT, PAGE_SIZES[0])
    # A newer release can know other columns and sizes.
    columns = tuple(name for name in COLUMNS if name in row.columns)
    size = row.page_size if row.page_size in PAGE_SIZES else PAGE_SIZES[0]
    return Chosen(columns, size)


def saved_filters(request: HttpRequest) -> list[SavedFilter]:
    """Return the filters that the user of a request has saved, by name. One query."""
    return list(SavedFilter.objects.filter(user=request.user.pk).order_by("name"))


def choose(request: HttpRequest) -> HttpResponse:
    """Keep the columns and the number of rows that the user has chosen; redirect to the list."""
    require(request)
    if request.method == "POST":
        size = request.POST.get("page_size", "")
        names = set(request.POST.getlist("column"))
        sizes = {str(it): it for it in PAGE_SIZES}
        ListOptions.objects.update_or_create(
            user_id=_user(request),
            defaults={
                "columns": [name for name in COLUMNS if name in names],
                "page_size": sizes.get(size, PAGE_SIZES[0]),
            },
        )
    return _to_list(_query(request))


def save(request: HttpRequest) -> HttpResponse:
    """Save the query of the list as a filter, or remove a saved filter; redirect to the list."""
    require(request)
    query = _query(request)
    own = SavedFilter.objects.filter(user=request.user.pk)
    if "remove" in request.POST:
        removed, _details = own.filter(name=request.POST["remove"]).delete()
        if removed:
            messages.success(request, _("The saved filter was removed."))
        return _to_list(query)
    if request.method == "POST":
        name = request.POST.get("name", "").strip()
        if refused := _refusal(name, query, {row.name for row in own}):
            messages.error(request, refused)
        else:
            own.update_or_create(
                user_id=_user(request), name=name, defaults={"query": query}
            )
            messages.success(
                request, _("The filter was saved as %(name)s.") % {"name": name}
            )
    return _to_list(query)


def _user(request: HttpRequest) -> int:
    """Return the primary key of the signed-in user."""
    pk: int = request.user.pk  # type: ignore[assignment]
    return pk


def _refusal(name: str, query: str, known: set[str]) -> str:
    if not name or len(name) > MAX_NAME:
        return _("Enter a name of at most %(most)s characters.") % {"most": MAX_NAME}
    if len(query) > MAX_QUERY:
        return _("The filters are too long to be saved. Use fewer or shorter ones.")
    if name not in known and len(known) >= MOST_FILTERS:
        return _("You have %(most)s saved filters. Remove one first.") % {
            "most": MOST_FILTERS
        }
    return ""


def _query(request: HttpRequest) -> str:
    """Return the query of the list's URL, which a form has sent, with normalised encoding.

    Empty if the query is malformed.
    """
    try:
        return QueryDict(request.POST.get("query", "")).urlencode()
    except (ValueError, UnicodeError):
        return ""


def _to_list(query: str) -> HttpResponse:
    url = reverse(LIST)
    return redirect(f"{url}?{query}" if query else url)
