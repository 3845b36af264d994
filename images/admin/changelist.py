"""The list of images in Django's admin, which is fast even with millions of images.

No query counts all images, and the number of queries does not depend on the page size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import (
    ORDER_VAR,
    PAGE_VAR,
    SEARCH_VAR,
    ChangeList,
)
from django.core.paginator import Paginator
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from imagecatalog.identity.models import Project
from images import errors
from images.admin import formatting, list_options, list_state, view_counts
from images.admin.actions import get_caller
from images.admin.failures import failed_ids
from images.admin.filters import (
    COUNTED_VIEWS,
    DELETED_VIEWS,
    EMPTY,
    ROWS_PER_IMAGE,
    SLOW_VIEWS,
    SLOW_WITH_FILTERS,
    VIEWS,
    FilterForm,
)
from images.models import (
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Transfer,
    TransferStatus,
)
from images.operations.overview import WITHOUT_DATA
from images.transfers.heartbeat import is_silent

COUNTED = 10_000  # images; for longer lists the page says "more than"


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that counts at most 10,000 rows (COUNTED), and has no pages for further rows.

    It counts those of the query ``counted`` if there is one.
    """

    counted: QuerySet[Image] | None = None

    @property
    def most(self) -> int:
        """The number of rows up to which they are counted."""
        return COUNTED

    @cached_property
    def count(self) -> int:
        """The number of rows, at most ``most``."""
        images: Any = self.object_list if self.counted is None else self.counted
        ids = images.order_by().values("pk")
        return int(ids[: self.most].count())


class ShortPaginator(CappedPaginator):
    """The same for lists that take long to count: it counts at most 1,000 rows (COUNTED)."""

    @property
    def most(self) -> int:
        """The number of rows up to which they are counted."""
        return view_counts.COUNTED


def paginator_of(
    params: Mapping[str, str], *args: Any, **options: Any
) -> CappedPaginator:
    """Return the paginator of the list with these parameters in its URL; further arguments are Django's."""
    view = params.get("view", "")
    is_slow = params.get(SEARCH_VAR) or view in SLOW_VIEWS
    made = (ShortPaginator if is_slow else CappedPaginator)(*args, **options)
    is_whole = set(params) <= {"view", ORDER_VAR, PAGE_VAR, list_options.SORT}
    if is_whole and view in COUNTED_VIEWS:
        condition = COUNTED_VIEWS[view](made.most * ROWS_PER_IMAGE)
        made.counted = Image.objects.filter(condition)
    return made


class ImageList(ChangeList):
    """The list of images in the admin, filtered by FilterForm. A page needs only a few queries."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return no parameters: Django's own filters do not apply, because FilterForm filters the list."""
        return {}

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Image]:
        """Return the images that match the search and the filters; none if a filter is invalid."""
        self.list_per_page = list_options.chosen(request).page_size
        self._read_sort()
        self.form = FilterForm(self.params, caller=get_caller(request))
        images: QuerySet[Image] = super().get_queryset(request, exclude_parameters)
        if not self.form.is_valid():
            return images.none()
        self._found = images
        return self._filtered(self.params.get("view", "")).filter(self.form.in_view())

    def _filtered(self, view: str) -> QuerySet[Image]:
        """Return the images that match the search and the filters in a view, and others of other views."""
        return self._found.filter(self.form.filters(view))

    def _read_sort(self) -> None:
        """Convert the parameter ``sort`` of a saved filter to Django's parameter ``o``.

        ``sort`` has the names of the columns to sort by, ``o`` has their numbers.
        """
        words = self.params.pop(list_options.SORT, "")
        self.filter_params.pop(list_options.SORT, None)
        numbers = []
        for word in filter(None, words.split(",")):
            name = word.removeprefix("-")
            if name in self.list_display:
                sign = "-" if word != name else ""
                numbers.append(f"{sign}{self.list_display.index(name)}")
        if numbers:
            self.params[ORDER_VAR] = ".".join(numbers)
            self.filter_params[ORDER_VAR] = [self.params[ORDER_VAR]]

    def apply_select_related(self, qs: QuerySet[Image]) -> QuerySet[Image]:
        """Return the query unchanged: the list needs no values of joined tables."""
        return qs

    def get_results(self, request: HttpRequest) -> None:
        """Load the images of the current page, with all values that the list shows."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        prefetch(self.result_list, problems="problem" in self.list_display)
        self.saved = list_options.saved_filters(request)
        self.options = list_options.chosen(request)
        first = (self.page_num - 1) * self.list_per_page
        for position, image in enumerate(self.result_list, first):
            url = reverse("admin:images_image_change", args=[image.pk])
            image.url = url + list_state.query(self.query_string, position)

    # For the template

    @cached_property
    def query_string(self) -> str:
        """The query of the list's URL, without the page and without ``?``."""
        return self.get_query_string()[1:]

    @cached_property
    def saved_query(self) -> str:
        """The query of the list's URL for a saved filter: sort columns have names, not numbers."""
        is_sorted = ORDER_VAR in self.params
        ordering = self.get_ordering_field_columns() if is_sorted else {}
        names = [
            f"{'-' if way == 'desc' else ''}{self.list_display[number]}"
            for number, way in ordering.items()
            if number < len(self.list_display)
        ]
        sort = {list_options.SORT: ",".join(names) or None, ORDER_VAR: None}
        return self.get_query_string(sort)[1:]

    @property
    def unordered_query(self) -> str:
        """The query of the list's URL without the columns to sort by, whose numbers can change."""
        return self.get_query_string({ORDER_VAR: None})[1:]

    @cached_property
    def saved_links(self) -> list[dict[str, Any]]:
        """The user's saved filters: name, URL, and whether the page shows this filter's list."""
        return [
            {
                "name": row.name,
                "url": f"?{row.query}",
                "current": row.query == self.saved_query,
            }
            for row in self.saved
        ]

    @property
    def column_choices(self) -> list[dict[str, Any]]:
        """The columns that the user can choose: name, title, and whether it is chosen."""
        return [
            {"name": name, "title": title, "chosen": name in self.options.columns}
            for name, title in list_options.COLUMNS.items()
        ]

    @property
    def page_sizes(self) -> tuple[int, ...]:
        """The numbers of rows that the user can choose."""
        return list_options.PAGE_SIZES

    @property
    def capped(self) -> bool:
        """Whether the list has more images than are counted, so that their number is unknown."""
        return bool(self.result_count >= self.paginator.most)

    @property
    def tabs(self) -> list[dict[str, Any]]:
        """The saved views of the list (such as "Trash"), which the page shows as tabs above it.

        Each tab has its title, its URL, the number of its images, and whether it is the current
        view. Tabs keep the search and the filters.
        """
        shown = self.params.get("view", "")
        counts = self._counts()
        return [
            {
                "title": title,
                "url": self.get_query_string({"view": name or None}),
                "count": counts.get(name, ""),
                "current": name == shown,
            }
            for name, (title, _condition) in VIEWS.items()
        ]

    def _counts(self) -> dict[str, str]:
        """Return the number of images in each view that match the search and the filters, as texts.

        A search or filters can match too many images to look for those of a view among all of them.
        """
        if self.form.errors:
            return {}
        left_out = SLOW_WITH_FILTERS if self.narrowed else set()
        if self.params.get("store"):
            left_out = left_out | DELETED_VIEWS
        most = view_counts.COUNTED * ROWS_PER_IMAGE
        # With filters or a search, the first copies and transfers can be those of other images.
        counted = {} if self.narrowed else COUNTED_VIEWS
        views = {
            name: counted[name](most) if name in counted else condition()
            for name, (_title, condition) in VIEWS.items()
            if name not in left_out
        }
        apart = views.keys() & DELETED_VIEWS if self.narrowed else views.keys()
        return view_counts.count(
            {
                name: self._filtered(name).filter(views[name])
                for name in views
                if name in apart
            },
            self._filtered("").filter(deleted_at=None),
            {name: views[name] for name in views if name not in apart},
        )

    @cached_property
    def chips(self) -> list[dict[str, str]]:
        """The search and the filters that are set, which the page shows above the list.

        Each has its label, its value, and the URL of the list without it.
        """
        found = [
            {"name": name, "label": str(field.label), "value": self._shown(name)}
            for name, field in self.form.fields.items()
            if name != "view" and self.params.get(name)
        ]
        if self.query:
            found.insert(0, {"name": "q", "label": _("Search"), "value": self.query})
        return [
            chip | {"url": self.get_query_string({chip["name"]: None})}
            for chip in found
        ]

    def _shown(self, name: str) -> str:
        value = self.form[name].value()
        choices = getattr(self.form.fields[name], "choices", ())
        return str(dict(choices).get(value, value))

    @property
    def kept_names(self) -> list[tuple[str, str]]:
        """The parameters of the URL that the filter form keeps as hidden fields: (name, value)."""
        return self._given("view", "bulk", ORDER_VAR)

    def _given(self, *names: str) -> list[tuple[str, str]]:
        return [(name, self.params[name]) for name in names if self.params.get(name)]

    @property
    def filters_open(self) -> bool:
        """Whether the page shows the fields of the filters, which it does if one of them is set."""
        return any(self.params.get(it.name) for it in self.form.visible_fields())

    @property
    def clear_url(self) -> str:
        """The URL of the current view in the same sort order, without search text and filters."""
        return f"?{urlencode(self._given('view', ORDER_VAR))}"

    @property
    def narrowed(self) -> bool:
        """Whether the list is restricted by a search text or a filter."""
        return bool(self.chips)

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
            ) % {"count": f"{self.result_count:,}"}
        return formatting.images(self.result_count)


def prefetch(images: list[Image], *, problems: bool = False) -> None:
    """Set attributes of each image: the values that lists show. Four queries for all images.

    The attributes are ``copies`` (store ids), ``transfer`` (the running transfer or None),
    ``owner_name`` (of the project), ``shown_size`` (with a unit), ``title`` (the image's name),
    ``badge`` (the status as HTML) and ``problem`` (sentences on what is wrong with the image, each
    with its time). With ``problems``, they include why the last transfer of the image failed; this
    takes one more query.
    """
    ids = [image.pk for image in images]
    copies: dict[str, list[ImageLocation]] = {}
    locations = ImageLocation.objects.filter(Q(image__in=ids)).exclude(
        status=LocationStatus.DELETED
    )
    for location in locations.order_by("pk").only(
        "image", "store", "damage", "verified_at"
    ):
        copies.setdefault(location.image_id, []).append(location)
    running = Transfer.objects.filter(image__in=ids, status=TransferStatus.RUNNING)
    transfers = {transfer.image_id: transfer for transfer in running}
    names = project_names({image.owner for image in images if image.owner})
    failed = failed_ids(ids)
    failures = _failures(ids) if problems else {}
    for image in images:
        found = copies.get(image.pk, [])
        image.copies = [location.store for location in found]  # type: ignore[attr-defined]
        image.transfer = transfers.get(image.pk)  # type: ignore[attr-defined]
        image.shown_size = formatting.size(image.size)  # type: ignore[attr-defined]
        image.title = formatting.title(image)  # type: ignore[attr-defined]
        image.badge = formatting.badge(image.status, failed=image.pk in failed)  # type: ignore[attr-defined]
        image.owner_name = names.get(image.owner or "", image.owner)  # type: ignore[attr-defined]
        image.problem = [*_problems(image, found, failures.get(image.pk))]  # type: ignore[attr-defined]


def _problems(
    image: Image, locations: list[ImageLocation], failure: tuple[str, datetime] | None
) -> Iterator[tuple[str, datetime | None]]:
    """Yield a sentence for each problem of an image, and the time of the problem, if it is known.

    ``failure`` is the sentence and time of the last failed transfer.
    """
    for location in locations:
        if location.damage:
            words = {"store": location.store, "damage": location.damage}
            yield _("In store %(store)s: %(damage)s") % words, location.verified_at
    transfer = image.transfer  # type: ignore[attr-defined]
    if image.status in WITHOUT_DATA and failure:
        yield failure
    if image.status in TRANSIENT_STATUSES and transfer is None:
        yield _("No transfer is running."), None
    elif transfer is not None and is_silent(transfer):
        yield _("The transfer shows no activity."), transfer.heartbeat_at


def _failures(ids: list[str]) -> dict[str, tuple[str, datetime]]:
    """Return why the last transfer of images has failed, and when, by the id of the image. One query."""
    ended = Transfer.objects.filter(image__in=ids, status=TransferStatus.FAILED)
    ended = ended.exclude(error_code=errors.Gone.code).order_by(
        "ended_at", "started_at"
    )
    rows = ended.values_list("image", "error", "error_code", "ended_at")
    return {image: (error or code, at) for image, error, code, at in rows if at}


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
