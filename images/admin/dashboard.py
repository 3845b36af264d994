"""The front page of the admin: images that need attention, totals, and the life cycle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from images import pause, units
from images.admin import formatting, graph, project_usage
from images.admin.changelist import project_names
from images.admin.filters import VIEWS
from images.models import Image, Status
from images.operations import overview


def context() -> dict[str, Any]:
    """Return the template context of the front page. The number of queries is constant."""
    statistics = overview.statistics()
    next_scrub = overview.next_scrub()
    paused = pause.current()
    return {
        "tiles": _tiles(statistics, next_scrub),
        "stores": _stores(statistics),
        "projects": _projects(statistics),
        "graph": graph.diagram(counts=statistics["images"]),
        "taken_at": formatting.exact(statistics["taken_at"]),
        "paused": paused and paused | {"since": formatting.exact(paused["since"])},
    }


def numbers() -> dict[str, str]:
    """Return the numbers on the front page as texts, by the name of the element that shows them.

    The script of the page fetches them again and again.
    """
    statistics = overview.statistics()
    tiles = _tiles(statistics, overview.next_scrub())
    counts = {
        f"status-{status}": f"{count:,}"
        for status, count in statistics["images"].items()
    }
    return counts | {f"tile-{tile['name']}": tile["value"] for tile in tiles}


def _count(view: str) -> int:
    """Return the number of images in a saved view of the image list, such as ``stuck``."""
    _title, condition = VIEWS[view]
    return Image.objects.filter(condition()).count()


def _tiles(statistics: dict[str, Any], next_scrub: Any) -> list[dict[str, Any]]:
    moving, stuck, failed, damaged = map(
        _count, ("moving", "stuck", "failed-today", "damaged")
    )
    trash = statistics["trash"]
    scrub = _("nothing to delete")
    if next_scrub is not None:
        scrub = _("next permanent deletion: %(when)s") % {
            "when": _when(next_scrub),
        }
    total = sum(
        count for status, count in statistics["images"].items() if status in LIVING
    )
    return [
        _tile("stuck", _("Stuck now"), stuck, "stuck", "alarm" if stuck else "calm"),
        _tile(
            "failed",
            VIEWS["failed-today"][0],
            failed,
            "failed-today",
            "warn" if failed else "calm",
        ),
        _tile(
            "damaged",
            VIEWS["damaged"][0],
            damaged,
            "damaged",
            "alarm" if damaged else "calm",
        ),
        _tile("moving", _("In progress"), moving, "moving", "plain"),
        _tile("trash", _("In the trash"), trash["images"], "trash", "plain")
        | {"note": f"{units.size(trash['bytes'])}, {scrub}"},
        _tile("images", _("Images"), total, "", "plain")
        | {"note": _("excluding deleted images")},
    ]


LIVING = [
    status
    for status in Status.values
    if status not in (Status.DELETED, Status.PENDING_DELETE)
]


def _tile(name: str, title: Any, value: int, view: str, tone: str) -> dict[str, Any]:
    url = reverse("admin:images_image_changelist")
    return {
        "name": name,
        "title": title,
        "value": f"{value:,}",
        "url": f"{url}?view={view}" if view else url,
        "tone": tone,
    }


def _when(at: datetime) -> str:
    return _("due now") if at <= timezone.now() else formatting.when(at)


def _stores(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    url = reverse("admin:images_image_changelist")
    return [
        {
            "id": store,
            "objects": f"{totals['objects']:,}",
            "size": formatting.size(totals["bytes"]),
            "url": f"{url}?store={store}",
        }
        for store, totals in statistics["stores"].items()
    ]


def _projects(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    # An earlier release counted no projects; the metrics can need more of them.
    rows = statistics.get("projects", [])[: overview.LARGEST]
    ids = {row["project"] for row in rows if row["project"]}
    names, allowed = project_names(ids), project_usage.size_limits(ids)
    return [
        {
            "name": names.get(row["project"], row["project"]) or _("(none)"),
            "url": row["project"]
            and project_usage.url_of(row["project"], is_known=row["project"] in names),
        }
        | {name: formatting.size(row[name]) for name in ("reserved", "chunks", "trash")}
        | {"used": project_usage.bar(row["used"], allowed.get(row["project"]))}
        for row in rows
    ]
