"""The list of images in Django's admin, which is fast even with millions of images.

No query counts all images, and the number of queries does not depend on the page size.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from imagecatalog.identity.models import Project
from images.admin import formatting
from images.admin.actions import get_caller
from images.admin.filters import EMPTY, UNLISTED, VIEWS, FilterForm
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Transfer,
    TransferStatus,
)

COUNTED = 10_000  # images; for longer lists the page says "more than"


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that counts at most 10,000 rows (COUNTED), and has no pages for further rows."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most 10,000 (COUNTED)."""
        ids = self.object_list.order_by().values("pk")  # type: ignore[attr-defined]
        return int(ids[:COUNTED].count())


class ImageList(ChangeList):
    """The list of images in the admin, filtered by FilterForm. A page needs only a few queries."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return no parameters: Django's own filters do not apply, because FilterForm filters the list."""
        return {}

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Image]:
        """Return the images that match the search and the filters; none if a filter is invalid."""
        self.form = FilterForm(self.params, caller=get_caller(request))
        images: QuerySet[Image] = super().get_queryset(request, exclude_parameters)
        if not self.form.is_valid():
            return images.none()
        return images.filter(self.form.condition())

    def apply_select_related(self, qs: QuerySet[Image]) -> QuerySet[Image]:
        """Return the query unchanged: the list needs no values of joined tables."""
        return qs

    def get_results(self, request: HttpRequest) -> None:
        """Load the images of the current page, with all values that the list shows."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        prefetch(self.result_list)

    # For the template

    @property
    def capped(self) -> bool:
        """Whether the list has at least 10,000 images, so that their number is unknown."""
        return int(self.result_count) >= COUNTED

    @property
    def tabs(self) -> list[dict[str, Any]]:
        """The saved views of the list (such as "Trash"), which the page shows as tabs above it.

        Each tab has its title, its URL, and whether it is the current view.
        """
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
        """The filters that are set, which the page shows above the list.

        Each has its label, its value, and the URL of the list without this filter.
        """
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
        """Whether the list is restricted by a search text or a filter."""
        return bool(self.query or self.chips)

    @property
    def pristine(self) -> bool:
        """Whether the list shows all images, without a saved view, search text or filter."""
        return not self.narrowed and not self.params.get("view")

    @property
    def empty_text(self) -> str:
        """The sentence that the list shows if the current view has no images."""
        return str(EMPTY.get(self.params.get("view", ""), EMPTY[""]))

    @property
    def count_text(self) -> str:
        """The number of images in the list, as a text for the page."""
        if self.capped:
            return _(
                "More than %(count)s images. Narrow the filters to see an exact count."
            ) % {"count": f"{COUNTED:,}"}
        if self.result_count == 1:
            return _("1 image")
        return _("%(count)s images") % {"count": f"{self.result_count:,}"}


def prefetch(images: list[Image]) -> None:
    """Set attributes of each image: the values that lists show. Three queries for all images.

    The attributes are ``copies`` (store ids), ``transfer`` (the running transfer or None),
    ``owner_name`` (of the project), ``shown_size`` (with a unit), ``title`` (the image's name) and
    ``badge`` (the status as HTML).
    """
    ids = [image.pk for image in images]
    copies: dict[str, list[str]] = {}
    locations = ImageLocation.objects.filter(Q(image__in=ids)).exclude(
        status=LocationStatus.DELETED
    )
    for image_id, store in locations.order_by("pk").values_list("image", "store"):
        copies.setdefault(image_id, []).append(store)
    running = Transfer.objects.filter(image__in=ids, status=TransferStatus.RUNNING)
    transfers = {transfer.image_id: transfer for transfer in running}
    names = project_names({image.owner for image in images if image.owner})
    for image in images:
        image.copies = copies.get(image.pk, [])  # type: ignore[attr-defined]
        image.transfer = transfers.get(image.pk)  # type: ignore[attr-defined]
        image.shown_size = formatting.size(image.size)  # type: ignore[attr-defined]
        image.title = formatting.title(image)  # type: ignore[attr-defined]
        image.badge = formatting.badge(image.status)  # type: ignore[attr-defined]
        image.owner_name = names.get(image.owner or "", image.owner)  # type: ignore[attr-defined]


def project_names(ids: set[str]) -> dict[str, str]:
    """Return the names of projects in the built-in identity service, by id. One query.

    Ids that are unknown there are left out.
    """
    known = Project.objects.filter(pk__in=ids)
    return dict(known.values_list("pk", "name"))


def shown_project(column: str) -> Coalesce:
    """Return a query expression for the name of the project whose id is in ``column``.

    Its value is the id itself if the name is unknown.
    """
    known = Project.objects.filter(pk=OuterRef(column))
    return Coalesce(Subquery(known.values("name")[:1]), column)
