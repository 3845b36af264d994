"""The usage of projects, as the admin shows it: how much of each limit, and the largest images."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import Project
from images import access, errors
from images.admin import formatting
from images.admin.actions import require
from images.admin.changelist import prefetch
from images.admin.project_forms import LABELS, UNLIMITED
from images.admin.shortcuts import context
from images.models import Image, ImageLocation, LocationStatus
from images.transfers import limits, usage

LARGEST: Final = 10  # images
RECENT: Final = timedelta(days=30)
SOURCES: Final = {
    "project": gettext_lazy("set for this project"),
    "default": gettext_lazy("default"),
    "keystone": gettext_lazy("from Keystone"),
}


def page_context(project: str) -> dict[str, Any]:
    """Return the template context with the usage of a project: limits, trash, largest images."""
    images = Image.objects.existing().filter(owner=project).exclude(size=None)
    largest = list(images.order_by("-size", "pk")[:LARGEST])
    prefetch(largest)
    return {
        "usage": _rows(project),
        "trash": formatting.size(usage.trash(project)),
        "growth": _growth(project),
        "largest": largest,
        "images_url": images_url(project),
    }


def _growth(project: str) -> str:
    """Return how many images the project got in the last 30 days, and their bytes, as text."""
    since = timezone.now() - RECENT
    added = Image.objects.existing().filter(owner=project, created_at__gte=since)
    totals = added.aggregate(count=Count("pk"), bytes=Sum("size"))
    words = {
        "images": formatting.images(totals["count"]),
        "size": formatting.amount(totals["bytes"] or 0),
    }
    return _("%(images)s with %(size)s") % words


def _rows(project: str) -> list[dict[str, Any]]:
    used = usage.of(project)
    try:
        allowed = limits.of(project)
    except errors.LimitsUnknown:
        unknown = {"limit": _("unknown"), "percent": None, "source": ""}
        return [_row(name, amount, None) | unknown for name, amount in used.items()]
    return [
        _row(name, amount, allowed[name])
        | {"source": SOURCES[limits.source(project, name)]}
        for name, amount in used.items()
    ]


def _row(name: str, used: int, limit: int | None) -> dict[str, Any]:
    show = formatting.size if limits.UNITS[name] > 1 else "{:,}".format
    return {
        "label": LABELS[name],
        "used": show(used),
        "limit": UNLIMITED if limit is None else show(limit),
        "percent": percent(used, limit),
    }


def percent(used: int, limit: int | None) -> int | None:
    """Return how much of a limit is used, in percent; None without a limit. At most 100."""
    if limit is None:
        return None
    return min(100, 100 * used // limit) if limit else 100


def size_limits(projects: Iterable[str]) -> dict[str, int | None]:
    """Return how many bytes projects may store, by id; None: no limit. At most one query.

    Empty if the limits of Keystone are needed and are unknown.
    """
    limit = limits.of_all(limits.SIZE_TOTAL)
    try:
        return {project: limit(project) for project in projects}
    except errors.LimitsUnknown:
        return {}


def bar(used: int, limit: int | None) -> SafeString | str:
    """Return bytes in use as HTML, with a bar if there is a limit."""
    share, shown = percent(used, limit), formatting.size(used)
    if share is None:
        return shown
    return format_html(
        '<meter max="100" high="90" value="{}" aria-label="{}"></meter> {}',
        share,
        _("used part of the limit"),
        _("%(used)s of %(limit)s") % {"used": shown, "limit": formatting.size(limit)},
    )


def totals(projects: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the number of images and the bytes of projects: id -> (images, bytes). Two queries.

    As for limits, each copy counts, and images in the trash do not.
    """
    ids = list(projects)
    images = Image.objects.existing().filter(owner__in=ids).order_by()
    counts = dict(images.values_list("owner").annotate(count=Count("pk")))
    copies = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE, image__owner__in=ids, image__deleted_at=None
    )
    used = usage.by_owner(copies, "image__size")
    return {project: (counts.get(project, 0), used.get(project, 0)) for project in ids}


def images_url(project: str) -> str:
    """Return the URL of the list of a project's images."""
    url = reverse("admin:images_image_changelist")
    return f"{url}?{urlencode({'owner': project})}"


def url_of(project: str, *, is_known: bool) -> str:
    """Return the URL of the page with the usage of a project.

    For a project that the service knows, this is the page of the project itself.
    """
    if is_known:
        return reverse("admin:identity_project_change", args=[project])
    url = reverse("admin:identity_project_usage")
    return f"{url}?{urlencode({'project': project})}"


def show(request: HttpRequest) -> HttpResponse:
    """Show the usage of the project with the id in the query parameter ``project``.

    The page is for projects that are managed elsewhere; for any other project it redirects to the
    page of the project. Raises Http404 if no image, family or limit has this id.
    """
    require(request)
    project = request.GET.get("project", "")
    if Project.objects.filter(pk=project).exists():
        return redirect("admin:identity_project_change", project)
    if not access.is_project_in_use(project):
        raise Http404(_("No image, family or limit belongs to a project with this id."))
    title = _("Project %(id)s") % {"id": project}
    return TemplateResponse(
        request,
        "admin/images/project/usage.html",
        context(request, opts=Project._meta, title=title, **page_context(project)),
    )
