"""The filters of the page "Activity", and the events that they select."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from operator import and_
from typing import Any, Final
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import Project
from imagecatalog.identity.pickers import PROJECTS, Picker
from images import activity
from images.access import INTERFACES
from images.activity import Conditions, Position, Selection
from images.admin import event_texts, search_page
from images.admin.filters import DAY, day_field, midnight
from images.models import Image

SEPARATOR: Final = "~"  # between the parts of a position in a URL
FEW: Final = 100  # images whose events are looked up, all of them


def _events() -> list[tuple[str, Any]]:
    titles = {
        activity.IMAGE: gettext_lazy("Images"),
        activity.FAMILY: gettext_lazy("Families"),
    }
    groups: list[tuple[str, Any]] = [
        (
            str(titles[kind]),
            [(f"{kind}.{verb}", label) for verb, label in labels.items()],
        )
        for kind, labels in event_texts.LABELS.items()
    ]
    return [("", gettext_lazy("any")), *groups]


class ActivityForm(forms.Form):
    """The form with the filters of the activity. Its values come from the query of the URL."""

    event = forms.ChoiceField(
        label=gettext_lazy("Event"), choices=_events, required=False
    )
    image = forms.CharField(
        label=gettext_lazy("Image or family"), required=False, max_length=255
    )
    actor = forms.CharField(label=gettext_lazy("User"), required=False, max_length=255)
    project = forms.CharField(
        label=gettext_lazy("Project of the user"),
        required=False,
        max_length=255,
        widget=Picker(PROJECTS),
    )
    interface = forms.ChoiceField(
        label=gettext_lazy("Interface"),
        choices=[("", gettext_lazy("any")), *((name, name) for name in INTERFACES)],
        required=False,
    )
    since = day_field(gettext_lazy("From"))
    until = day_field(gettext_lazy("To"))
    reason = forms.CharField(
        label=gettext_lazy("Reason contains"), required=False, max_length=255
    )
    request = forms.CharField(
        label=gettext_lazy("Request id"), required=False, max_length=64
    )
    before = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, http_request: HttpRequest) -> None:
        """Create the form with the parameters of the URL of ``http_request``."""
        super().__init__(http_request.GET)
        self._request = http_request
        self.auto_id = "activity-%s"

    def clean_project(self) -> list[str]:
        """Return the ids of the projects to filter by: those with the entered id or name.

        A project that is not here can have caused events, too: then it is the entered text.
        """
        text = self.cleaned_data["project"].strip()
        if not text:
            return []
        named = Project.objects.filter(Q(pk=text) | Q(name__iexact=text))
        return list(named.values_list("pk", flat=True)) or [text]

    def clean_before(self) -> Position | None:
        """Return the position in the activity at which the page begins; None for the newest events.

        Raises ValidationError if the entered text is not a position.
        """
        text = self.cleaned_data["before"]
        if not text:
            return None
        try:
            at, kind, number = text.split(SEPARATOR)
            place = Position(datetime.fromisoformat(at), kind, int(number))
            in_utc = place.at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(_("This page of the list does not exist.")) from None
        if kind not in activity.SUBJECTS or not 0 <= place.id < 1 << 63:
            raise ValidationError(_("This page of the list does not exist."))
        return place._replace(at=in_utc)

    def selection(self) -> Selection:
        """Return the events that match all filters. The form must be valid."""
        values = self.cleaned_data
        kind, _dot, verb = values["event"].partition(".")
        indexed = self._indexed(verb)
        others, subject = self._others(), values["image"].strip()
        images = families = None
        if kind in ("", activity.IMAGE):
            of_image, has_few = self._of_images(subject)
            images = Conditions(indexed, others & of_image, has_few)
        if kind in ("", activity.FAMILY):
            of_family, has_few = _of_families(subject)
            all_others = reduce(and_, indexed, others & of_family)
            families = Conditions((), all_others, has_few)
        return Selection(images, families, self._period(), values["before"])

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set."""
        names = [name for name in self.fields if name != "before"]
        return any(self.data.get(name) for name in names)

    def _indexed(self, verb: str) -> tuple[Q, ...]:
        """Return the conditions on columns that have an index, which is sorted by time."""
        values = self.cleaned_data
        projects = values["project"]
        columns = {
            "request_id": values["request"].strip(),
            "actor": values["actor"].strip(),
            "verb": verb,
            "project": projects[0] if len(projects) == 1 else "",
        }
        return tuple(Q((name, value)) for name, value in columns.items() if value)

    def _others(self) -> Q:
        values = self.cleaned_data
        projects = values["project"]
        columns = {
            "project__in": projects if len(projects) > 1 else (),
            "interface": values["interface"],
            "reason__icontains": values["reason"].strip(),
        }
        return Q(**{name: value for name, value in columns.items() if value})

    def _period(self) -> Q:
        values = self.cleaned_data
        times = {
            "at__gte": midnight(values["since"]),
            "at__lt": midnight(values["until"], DAY),
        }
        return Q(**{name: value for name, value in times.items() if value})

    def _of_images(self, text: str) -> tuple[Q, bool]:
        """Return the condition that a text names the image, and whether it names only a few."""
        if not text:
            return Q(), False
        images = Image.objects.filter(purged=False)
        found = search_page.matching(self._request, images, text).order_by()
        few = list(found.values_list("pk", flat=True)[: FEW + 1])
        if len(few) <= FEW:
            return Q(image__in=few), True
        return Q(image__in=found.values("pk")), False


def _of_families(text: str) -> tuple[Q, bool]:
    if not text:
        return Q(), False
    try:
        return Q(family=UUID(text)), True
    except ValueError:
        return Q(name__icontains=text), False


def in_url(place: Position) -> str:
    """Return a position in the activity as the value of the query parameter ``before``."""
    return SEPARATOR.join((place.at.isoformat(), place.kind, str(place.id)))
