"""The search over the whole catalogue: images, families, projects and users on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import Project
from images import search
from images.admin.actions import get_caller
from images.admin.changelist import prefetch
from images.models import Family, Image

SHOWN: Final = 10  # results of each kind
MOST_PROJECTS: Final = 1000  # whose images a word finds by the name of the project
# The models that the page searches, each with the title of its results.
SECTIONS: Final[Sequence[tuple[type[Model], Any]]] = (
    (Image, gettext_lazy("Images")),
    (Family, gettext_lazy("Families")),
    (Project, gettext_lazy("Projects")),
    (get_user_model(), gettext_lazy("Users")),
)


def matching(
    request: HttpRequest, images: QuerySet[Image], text: str
) -> QuerySet[Image]:
    """Return those of ``images`` that match a search text, for the user of the request.

    A word of the text can also match the name of the project that owns the image. A few queries,
    whose number depends on the text only.
    """
    return search.matching(images, text, get_caller(request), owners_named)


def owners_named(words: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the ids of the projects that have a word in their names, for each of ``words``.

    At most 1,000 projects, the first by name: each id is a parameter of further queries. One query.
    """
    any_word = reduce(or_, (Q(name__icontains=word) for word in words))
    named = Project.objects.filter(any_word).order_by("name")
    projects = list(named.values_list("pk", "name")[:MOST_PROJECTS])
    return {
        word: [pk for pk, name in projects if word.casefold() in name.casefold()]
        for word in words
    }


def page(request: HttpRequest) -> HttpResponse:
    """Show what matches the search text ``q``: at most ten of each kind that the user can view."""
    text = request.GET.get("q", "").strip()
    sections = [it for it in _sections(request, text) if it["results"]] if text else []
    context = admin.site.each_context(request) | {
        "title": _("Search"),
        "site_query": text,
        "sections": sections,
        "kinds": [title for model, title in SECTIONS if _can_view(request, model)],
    }
    return TemplateResponse(request, "admin/images/search.html", context)


def _can_view(request: HttpRequest, model: type[Model]) -> bool:
    return bool(admin.site.get_model_admin(model).has_view_permission(request))


def _sections(request: HttpRequest, text: str) -> Iterator[dict[str, Any]]:
    for model, title in SECTIONS:
        if not _can_view(request, model):
            continue
        found = _found(request, model, text)
        url = _url(model, "changelist")
        yield {
            "title": title,
            "results": _results(model, found[:SHOWN]),
            "more_url": f"{url}?{urlencode({'q': text})}" if len(found) > SHOWN else "",
        }


def _found(request: HttpRequest, model: type[Model], text: str) -> list[Any]:
    """Return the first 11 objects of a model that match a text, by the search of the model's list.

    Deleted images are left out.
    """
    model_admin = admin.site.get_model_admin(model)
    rows = model_admin.get_queryset(request)
    if model is Image:
        rows = rows.filter(deleted_at=None)
    rows, has_duplicates = model_admin.get_search_results(request, rows, text)
    if has_duplicates:
        rows = rows.distinct()
    return list(rows.order_by(*model_admin.get_ordering(request))[: SHOWN + 1])


def _results(model: type[Model], rows: list[Any]) -> list[dict[str, Any]]:
    if model is Image:
        prefetch(rows)
    return [
        _RESULTS[model](row) | {"url": _url(model, "change", row.pk)} for row in rows
    ]


def _url(model: type[Model], view: str, *args: Any) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{view}", args=args)


def _image(image: Any) -> dict[str, Any]:
    size = "" if image.size is None else image.shown_size
    return {
        "title": image.title,
        "badge": image.badge,
        "id": image.pk,
        "details": [image.owner_name, size, ", ".join(image.tags[:5])],
    }


def _family(family: Any) -> dict[str, Any]:
    return {"title": family.name, "details": [family.title, family.shown_owner]}


def _project(project: Any) -> dict[str, Any]:
    return {"title": project.name, "id": project.pk, "details": []}


def _user(user: Any) -> dict[str, Any]:
    inactive = "" if user.is_active else _("inactive")
    details = [user.get_full_name(), user.email, inactive]
    return {"title": user.get_username(), "details": details}


_RESULTS: Final[Mapping[type[Model], Callable[[Any], dict[str, Any]]]] = {
    Image: _image,
    Family: _family,
    Project: _project,
    get_user_model(): _user,
}
