"""The conditions for the list of images in the admin: saved views and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity.pickers import Picker, ProjectField
from images import errors, stores, units
from images.access import Caller, check_filter
from images.admin import formatting
from images.attributes import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES
from images.models import (
    DELETED_STATUSES,
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    BulkRow,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.operations import overview

DAY = timedelta(days=1)
TAGS = "admin:images_image_suggest_tags"
LAST_DAY = date(9000, 1, 1)  # the filter adds a day, which must be a valid date too


def _existing() -> Q:
    return Q(deleted_at=None)


def _copies(status: str = LocationStatus.ACTIVE, **conditions: Any) -> Exists:
    locations = ImageLocation.objects.filter(image=OuterRef("pk"), status=status)
    return Exists(locations.filter(**conditions))


# Name in the URL -> (title, condition). The first is the default.
VIEWS: Mapping[str, tuple[Any, Callable[[], Q]]] = {
    "": (_("All"), _existing),
    "moving": (_("In progress"), lambda: Q(status__in=TRANSIENT_STATUSES)),
    "stuck": (_("Stuck"), overview.stuck),
    "failed": (_("Failed"), overview.failed),
    "failed-today": (_("Failed in the last 24 h"), overview.failed_lately),
    "without-data": (
        _("Without data"),
        # deleted_at=None is implied, but lets the list use the index of the newest images.
        lambda: Q(status__in=overview.WITHOUT_DATA, deleted_at=None),
    ),
    "unverified": (
        _("Unverified"),
        # The same here.
        lambda: Q(
            _copies(verified_at=None), status__in=READABLE_STATUSES, deleted_at=None
        ),
    ),
    "damaged": (_("Damaged"), overview.damaged),
    "trash": (_("Trash"), lambda: Q(status=Status.PENDING_DELETE)),
    "deleted": (_("Deleted"), lambda: Q(status=Status.DELETED, purged=False)),
}


def _first(rows: QuerySet[Any], most: int) -> Q:
    return Q(pk__in=rows.values("image")[:most])


def _unverified() -> QuerySet[ImageLocation]:
    copies = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE, verified_at=None
    )
    return copies.order_by("verified_at", "image")


# The conditions with which some views are counted, because those of their lists would take too long.
# Each reads at most the given number of copies or transfers, in the order of an index.
COUNTED_VIEWS: Mapping[str, Callable[[int], Q]] = {
    "failed": lambda most: Q(
        _first(overview.failures().order_by("-ended_at"), most),
        status__in=overview.WITHOUT_DATA,
    ),
    "without-data": lambda most: Q(status__in=overview.WITHOUT_DATA),
    "unverified": lambda most: Q(
        _first(_unverified(), most), status__in=READABLE_STATUSES
    ),
    "damaged": lambda most: Q(
        _first(ImageLocation.objects.damaged().order_by("image"), most),
        deleted_at=None,
    ),
}
SLOW_VIEWS = {"failed", "unverified"}  # they take long to count
ROWS_PER_IMAGE = 5  # copies or transfers that are read for each image that is counted
# Views that are not counted with filters or a search.
SLOW_WITH_FILTERS = {"unverified"}
DELETED_VIEWS = {"trash", "deleted"}  # views of images that do not exist any more
EMPTY: Mapping[str, Any] = {
    "": _("There are no images yet."),
    "moving": _("No transfer is in progress."),
    "stuck": _("Nothing is stuck."),
    "failed": _("No transfer has failed."),
    "failed-today": _("No transfer has failed in the last 24 hours."),
    "without-data": _("No image is without data."),
    "unverified": _("All images are verified."),
    "damaged": _("Nothing is damaged."),
    "trash": _("The trash is empty."),
    "deleted": _("No image has been deleted permanently."),
}


class SizeField(forms.CharField):
    """A form field for a size such as ``1.5 GiB``. Its value is a number of bytes."""

    def to_python(self, value: Any) -> Any:
        """Convert a size to a number of bytes; None for an empty text.

        Raises ValidationError for a text that is no size.
        """
        text = super().to_python(value)
        if not text:
            return None
        try:
            return units.parse_size(text)
        except ValueError as error:
            sentence = _("“%(text)s” is not a size. Use for example 500M or 1.5 GiB.")
            raise ValidationError(sentence, params={"text": text}) from error


def _choices(values: Any) -> list[tuple[str, Any]]:
    return [("", _("any")), *((value, value) for value in values)]


def _stores() -> list[tuple[str, Any]]:
    return _choices([*(store.id for store in stores.configured()), stores.HTTP.id])


def _statuses() -> list[tuple[str, str]]:
    return [(status, formatting.status_name(status)) for status in Status.values]


YES_NO = [("", _("any")), ("1", _("yes")), ("0", _("no"))]


def day_field(label: Any) -> forms.DateField:
    """Return an optional field of a form for a day."""
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        validators=[MinValueValidator(date(1970, 1, 1)), MaxValueValidator(LAST_DAY)],
    )


class FilterForm(forms.Form):
    """The form with the filters of the image list. Its values come from the query of the URL."""

    view = forms.ChoiceField(
        choices=[(name, title) for name, (title, _q) in VIEWS.items()],
        required=False,
        widget=forms.HiddenInput,
        error_messages={
            "invalid_choice": _("There is no view “%(value)s”. Choose one of the tabs.")
        },
    )
    # The id of a bulk change, whose images are listed.
    bulk = forms.UUIDField(
        label=_("Bulk change"), required=False, widget=forms.HiddenInput
    )
    status = forms.ChoiceField(label=_("Status"), required=False)
    visibility = forms.ChoiceField(
        label=_("Visibility"), choices=_choices(VISIBILITIES), required=False
    )
    owner = ProjectField(label=_("Project"), required=False, asks=False)
    format = forms.ChoiceField(
        label=_("Disk format"), choices=_choices(DISK_FORMATS), required=False
    )
    container = forms.ChoiceField(
        label=_("Container format"), choices=_choices(CONTAINER_FORMATS), required=False
    )
    store = forms.ChoiceField(label=_("Store"), choices=_stores, required=False)
    protected = forms.ChoiceField(label=_("Protected"), choices=YES_NO, required=False)
    hidden = forms.ChoiceField(label=_("Hidden"), choices=YES_NO, required=False)
    tag = forms.CharField(label=_("Tag"), required=False, widget=Picker(TAGS))
    property = forms.CharField(
        label=_("Property"),
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "os_distro=debian"}),
    )
    size_min = SizeField(
        label=_("Size from"),
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "500 MiB"}),
    )
    size_max = SizeField(
        label=_("Size to"),
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "20 GiB"}),
    )
    created_from = day_field(_("Created from"))
    created_to = day_field(_("Created to"))

    def __init__(self, *args: Any, caller: Caller, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._caller = caller
        self.auto_id = "filter-%s"
        self.fields["status"].choices = [("", _("any")), *_statuses()]  # type: ignore[attr-defined]

    def clean_property(self) -> dict[str, str]:
        """Return the property to filter by as {name: value}; empty if none is entered.

        Raises ValidationError if the text is not ``name=value``, or if the user is not allowed to
        read the property.
        """
        text = self.cleaned_data["property"]
        name, equals, value = text.partition("=")
        if text and not (name.strip() and equals):
            raise ValidationError(
                _("“%(text)s” is not a property. Use for example os_distro=debian."),
                params={"text": text},
            )
        try:
            check_filter(self._caller, name.strip())
        except errors.Forbidden as error:
            raise ValidationError(str(error)) from None
        return {name.strip(): value.strip()} if text else {}

    def filters(self, view: str) -> Q:
        """Return the query condition for images in a view that match all filters.

        The form must be valid.
        """
        values = self.cleaned_data
        plain = {
            "status": values["status"],
            "visibility": values["visibility"],
            "owner": values["owner"],
            "disk_format": values["format"],
            "container_format": values["container"],
            "properties__holds": values["property"],
            "tags__holds": [values["tag"]] if values["tag"] else [],
        }
        ranges = {
            "size__gte": values["size_min"],
            "size__lte": values["size_max"],
            "created_at__gte": midnight(values["created_from"]),
            "created_at__lt": midnight(values["created_to"], DAY),
        }
        condition = Q(**{name: value for name, value in plain.items() if value})
        bounds = {name: bound for name, bound in ranges.items() if bound is not None}
        condition &= Q(**bounds)
        for column, name in (("protected", "protected"), ("os_hidden", "hidden")):
            if values[name]:
                condition &= Q(**{column: values[name] == "1"})
        if values["store"]:
            condition &= _stored_in(values["store"], view)
        if values["bulk"]:
            rows = BulkRow.objects.filter(change=values["bulk"])
            condition &= Q(pk__in=rows.values("image"))
        return condition

    def in_view(self) -> Q:
        """Return the query condition for images in the chosen view. The form must be valid.

        If no view is chosen, deleted images are left out, unless the form filters by a status of
        deleted images or by a bulk change.
        """
        view, status = self.cleaned_data["view"], self.cleaned_data["status"]
        if not view and (status in DELETED_STATUSES or self.cleaned_data["bulk"]):
            return Q(purged=False)
        return VIEWS[view][1]()


def _stored_in(store: str, view: str) -> Q:
    """Return the query condition for images in a view that have data in a store."""
    if view == "deleted":
        return Q(pk__in=[])
    in_trash = view == "trash"
    status = LocationStatus.PENDING_DELETE if in_trash else LocationStatus.ACTIVE
    return Q(_copies(status, store=store))


def midnight(day: date | None, later: timedelta = timedelta()) -> datetime | None:
    """Return the time at which ``day`` begins, plus ``later``; None without a day."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day, time())) + later
