"""The list of images as Django's admin shows it, made for a catalogue of millions.

Nothing counts all images, and a page asks the same number of questions however long it is.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from imagecatalog.identity.models import Project
from images.admin import formatting
from images.admin.filters import UNLISTED, VIEWS, FilterForm
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Transfer,
    TransferStatus,
)

COUNTED = 10_000  # images; of more than that it is said that there are more


class CappedPaginator(Paginator):
    """Counts no further than COUNTED, and so goes no deeper."""

    @cached_property
    def count(self) -> int:
        ids = self.object_list.order_by().values("pk")  # type: ignore[attr-defined]
        return int(ids[:COUNTED].count())


class ImageList(ChangeList):
    """Filters by our own form, and fetches what the rows show in a few queries."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """None that Django would take for columns: FilterForm reads them all."""
        return {}

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Image]:
        self.form = FilterForm(self.params)
        found: QuerySet[Image] = super().get_queryset(request, exclude_parameters)
        if not self.form.is_valid():
            return found.none()
        return found.filter(self.form.condition())

    def apply_select_related(self, qs: QuerySet[Image]) -> QuerySet[Image]:
        return qs

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        prefetch(self.result_list)

    # For the template

    @property
    def capped(self) -> bool:
        """Are there more than were counted?"""
        return int(self.result_count) >= COUNTED

    @property
    def tabs(self) -> list[dict[str, Any]]:
        """The saved views."""
        shown = self.params.get("view", "")
        return [
            {
                "title": title,
                "url": f"?{urlencode({'view': name})}" if name else "?",
                "current": name == shown,
            }
            for name, (title, _condition) in VIEWS.items()
            if name not in UNLISTED or name == shown
        ]

    @property
    def chips(self) -> list[dict[str, str]]:
        """The filters that are on, each with the way to take it off."""
        return [
            {
                "label": str(self.form.fields[name].label),
                "value": self._shown(name),
                "url": self.get_query_string(remove=[name]),
            }
            for name in self.form.fields
            if name != "view" and self.params.get(name)
        ]

    def _shown(self, name: str) -> str:
        value = self.form[name].value()
        choices = getattr(self.form.fields[name], "choices", ())
        return str(dict(choices).get(value, value))

    @property
    def narrowed(self) -> bool:
        """Is it searched or filtered?"""
        return bool(self.query or self.chips)

    @property
    def pristine(self) -> bool:
        """Is it the list of all that there is?"""
        return not self.narrowed and not self.params.get("view")

    @property
    def said(self) -> str:
        """How many there are, in words."""
        if self.capped:
            return _("more than %(count)s images; filters bring it down") % {
                "count": f"{COUNTED:,}"
            }
        if self.result_count == 1:
            return _("1 image")
        return _("%(count)s images") % {"count": f"{self.result_count:,}"}


def prefetch(images: list[Image]) -> None:
    """Give each image what is shown beside its columns, in three queries.

    ``copies`` (stores), ``transfer`` (the running one), ``owner_name``, ``shown_size``,
    ``badge``.
    """
    ids = [image.pk for image in images]
    copies: dict[str, list[str]] = {}
    held = ImageLocation.objects.filter(Q(image__in=ids)).exclude(
        status=LocationStatus.DELETED
    )
    for image_id, store in held.order_by("pk").values_list("image", "store"):
        copies.setdefault(image_id, []).append(store)
    running = Transfer.objects.filter(image__in=ids, status=TransferStatus.RUNNING)
    transfers = {transfer.image_id: transfer for transfer in running}
    names = project_names({image.owner for image in images if image.owner})
    for image in images:
        image.copies = copies.get(image.pk, [])  # type: ignore[attr-defined]
        image.transfer = transfers.get(image.pk)  # type: ignore[attr-defined]
        image.shown_size = formatting.size(image.size)  # type: ignore[attr-defined]
        image.badge = formatting.badge(image.status)  # type: ignore[attr-defined]
        image.owner_name = names.get(image.owner or "", image.owner)  # type: ignore[attr-defined]


def project_names(ids: set[str]) -> dict[str, str]:
    """The names of those projects that are known here. One query."""
    known = Project.objects.filter(pk__in=ids)
    return dict(known.values_list("pk", "name"))
