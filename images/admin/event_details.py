"""The details of an event of an image, in words: what its sentence does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import units
from images.admin import formatting
from images.attributes import parse_uuid


class Row(NamedTuple):
    """A detail: its name, and its value, or the values before and after a change."""

    name: Any
    after: Any
    before: Any = None
    changed: bool = False
    is_attribute: bool = False  # of an image: its name is what clients call it


def _size(value: Any) -> Any:
    return formatting.size(value) if isinstance(value, int) else value


def _joined(value: Any) -> Any:
    """Return the items of a list, such as tags, as text; any other value unchanged."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _yes(value: Any) -> str:
    return _("yes") if value else ""


def _report(value: Any) -> Any:
    change = parse_uuid(str(value))
    return _link("admin:images_image_bulk", change) if change else value


def _run(value: Any) -> Any:
    run = units.parse_digits(str(value), 18)
    return _link("admin:images_retentionpolicy_run", run) if run else value


def _link(name: str, key: UUID | int) -> Any:
    return format_html('<a href="{}">{}</a>', reverse(name, args=[key]), _("Report"))


_Show = Callable[[Any], Any]
# Key of a detail -> (its name, function that shows its value).
_NAMED: Final[Mapping[str, tuple[Any, _Show]]] = {
    "size": (gettext_lazy("Size"), _size),
    "received": (gettext_lazy("Received"), _size),
    "store": (gettext_lazy("Store"), str),
    "failed_stores": (gettext_lazy("Stores that failed"), str),
    "damage": (gettext_lazy("Damage"), str),
    "can_share": (gettext_lazy("Can share it further"), _yes),
    "family": (gettext_lazy("By the family"), str),
    "policy": (gettext_lazy("By the retention policy"), str),
    "run": (gettext_lazy("Run of the policy"), _run),
    "bulk_change": (gettext_lazy("Part of a bulk change"), _report),
}
# Ids, and what the sentence of the event says. The export of the activity has them.
_OMITTED: Final = {"transfer", "location", "replaced", "member", "status"}


def rows(event: Mapping[str, Any], detail: Mapping[str, Any]) -> list[Row]:
    """Return the details of an event for a page.

    ``detail`` is that part of the event's detail that the reader can see. A list of two values in it
    is a change from the first to the second.
    """
    return list(_rows(event["verb"], detail))


def _rows(verb: str, detail: Mapping[str, Any]) -> Iterator[Row]:
    for name, value in detail.items():
        is_change = isinstance(value, list) and len(value) == 2
        if is_change and (verb == "update" or name not in {*_NAMED, *_OMITTED}):
            before, after = map(_joined, value)
            yield Row(name, after, before, changed=True, is_attribute=True)
        elif name in _NAMED:
            title, show = _NAMED[name]
            shown = show(value[1] if is_change else value)
            if shown not in ("", None):
                yield Row(title, shown)
        elif name not in _OMITTED:
            yield Row(name.replace("_", " ").capitalize(), value)
