"""What the list of images can be narrowed by: saved views, filters, and the search."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images import stores, units
from images.attributes import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES
from images.models import (
    DELETED_STATUSES,
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.operations import overview

DAY = timedelta(days=1)
LAST_DAY = date(9000, 1, 1)  # a day later must be a date, too
HEX = re.compile("[0-9a-f]+")
DIGESTS = (64, 96, 128)  # hexadecimal digits of os_hash_value


def _existing() -> Q:
    return Q(deleted_at=None)


def _copies(**conditions: Any) -> Exists:
    held = ImageLocation.objects.filter(
        image=OuterRef("pk"), status=LocationStatus.ACTIVE
    )
    return Exists(held.filter(**conditions))


# Name in the address -> (title, condition). The first is what is seen without any.
VIEWS: Mapping[str, tuple[Any, Callable[[], Q]]] = {
    "": (_("All"), _existing),
    "moving": (_("In progress"), lambda: Q(status__in=TRANSIENT_STATUSES)),
    "stuck": (_("Stuck"), overview.stuck),
    "failed": (_("Failed"), overview.failed),
    "failed-today": (_("Failed in 24 h"), overview.failed_lately),
    "without-data": (
        _("Without data"),
        lambda: Q(status__in=overview.WITHOUT_DATA),
    ),
    "unverified": (
        _("Unverified"),
        # That they exist is implied, but lets the list walk the index of the newest ones.
        lambda: Q(
            _copies(verified_at=None), status__in=READABLE_STATUSES, deleted_at=None
        ),
    ),
    "damaged": (_("Damaged"), overview.damaged),
    "trash": (_("Trash"), lambda: Q(status=Status.PENDING_DELETE)),
    "deleted": (_("Deleted"), lambda: Q(status=Status.DELETED, purged=False)),
}
UNLISTED = {"failed-today"}  # views that only a tile leads to


class SizeField(forms.CharField):
    """``1.5 GiB`` -> bytes."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return units.parse_size(text)
        except ValueError as error:
            sentence = _("“%(text)s” is no size; give one like 500M or 1.5 GiB.")
            raise ValidationError(sentence, params={"text": text}) from error


def _choices(values: Any) -> list[tuple[str, Any]]:
    return [("", _("any")), *((value, value) for value in values)]


def _stores() -> list[tuple[str, Any]]:
    return _choices([*(store.id for store in stores.configured()), stores.HTTP.id])


YES_NO = [("", _("any")), ("1", _("yes")), ("0", _("no"))]


def _day_field(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        validators=[MinValueValidator(date(1970, 1, 1)), MaxValueValidator(LAST_DAY)],
    )


class FilterForm(forms.Form):
    """The filters of the list, read from its address."""

    view = forms.ChoiceField(
        choices=[(name, title) for name, (title, _q) in VIEWS.items()],
        required=False,
        widget=forms.HiddenInput,
    )
    status = forms.ChoiceField(label=_("Status"), required=False)
    visibility = forms.ChoiceField(
        label=_("Visibility"), choices=_choices(VISIBILITIES), required=False
    )
    owner = forms.CharField(label=_("Owner (project id)"), required=False)
    format = forms.ChoiceField(
        label=_("Disk format"), choices=_choices(DISK_FORMATS), required=False
    )
    container = forms.ChoiceField(
        label=_("Container format"), choices=_choices(CONTAINER_FORMATS), required=False
    )
    store = forms.ChoiceField(label=_("Store"), choices=_stores, required=False)
    protected = forms.ChoiceField(label=_("Protected"), choices=YES_NO, required=False)
    hidden = forms.ChoiceField(label=_("Hidden"), choices=YES_NO, required=False)
    tag = forms.CharField(label=_("Tag"), required=False)
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
    created_from = _day_field(_("Created from"))
    created_to = _day_field(_("Created to"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = "filter-%s"
        self.fields["status"].choices = [("", _("any")), *Status.choices]  # type: ignore[attr-defined]

    def clean_property(self) -> dict[str, str]:
        text = self.cleaned_data["property"]
        name, equals, value = text.partition("=")
        if text and not (name.strip() and equals):
            raise ValidationError(_("Give a name and a value: os_distro=debian."))
        return {name.strip(): value.strip()} if text else {}

    def condition(self) -> Q:
        """Which images are meant. Call when the form is valid."""
        given = self.cleaned_data
        where = self._view()
        plain = {
            "status": given["status"],
            "visibility": given["visibility"],
            "owner": given["owner"],
            "disk_format": given["format"],
            "container_format": given["container"],
            "properties__holds": given["property"],
            "tags__holds": [given["tag"]] if given["tag"] else [],
        }
        ranges = {
            "size__gte": given["size_min"],
            "size__lte": given["size_max"],
            "created_at__gte": _midnight(given["created_from"]),
            "created_at__lt": _midnight(given["created_to"], DAY),
        }
        where &= Q(**{name: value for name, value in plain.items() if value})
        where &= Q(**{name: it for name, it in ranges.items() if it is not None})
        for column, name in (("protected", "protected"), ("os_hidden", "hidden")):
            if given[name]:
                where &= Q(**{column: given[name] == "1"})
        if given["store"]:
            where &= Q(_copies(store=given["store"]))
        return where

    def _view(self) -> Q:
        view, status = self.cleaned_data["view"], self.cleaned_data["status"]
        if not view and status in DELETED_STATUSES:
            return Q(purged=False)
        return VIEWS[view][1]()


def _midnight(day: Any, later: timedelta = timedelta()) -> datetime | None:
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day, time())) + later


def matching(text: str) -> Q:
    """What a search finds: names that contain it, a tag, the beginning of an id, a digest."""
    text = text.strip()
    found = Q(name__icontains=text) | Q(tags__holds=[text])
    lower = text.lower()
    if HEX.fullmatch(lower.replace("-", "")):
        # Ids have the case in which a client gave them, and PostgreSQL tells it apart.
        for beginning in sorted({text, lower, text.upper()}):
            found |= Q(pk__startswith=beginning)
    if HEX.fullmatch(lower) and len(lower) == 32:
        found |= Q(checksum=lower)
    if HEX.fullmatch(lower) and len(lower) in DIGESTS:
        found |= Q(os_hash_value=lower)
    return found
