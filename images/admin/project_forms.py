"""The form of a project, with the limits that the operator sets for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import Project
from images import units
from images.transfers import limits

NO_LIMIT: Final = -1
LABELS: Final[Mapping[str, Any]] = {
    limits.SIZE_TOTAL: gettext_lazy("Data of images"),
    limits.STAGE_TOTAL: gettext_lazy("Data of uploads in progress"),
    limits.COUNT_TOTAL: gettext_lazy("Images"),
    limits.COUNT_UPLOADING: gettext_lazy("Images receiving data"),
}
UNLIMITED: Final = gettext_lazy("unlimited")
_UNITS: Final = ("MiB", "GiB", "TiB")
LONGEST: Final = 40  # characters


class LimitField(forms.Field):
    """A form field for the limit ``name`` of a project, such as ``500 GiB`` or ``20``.

    Its value is a number in MiB or of images, -1 for no limit, None for the default limit.
    """

    def __init__(self, name: str) -> None:
        widget = forms.TextInput({"maxlength": LONGEST})
        super().__init__(required=False, label=LABELS[name], widget=widget)
        self.name = name

    def prepare_value(self, value: Any) -> Any:
        """Return the text that the form shows for a limit."""
        return shown(self.name, value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        """Return the limit that a text stands for. Raises ValidationError for another text."""
        text = str(value or "").strip()[:LONGEST]
        if not text:
            return None
        if text.casefold() in (str(UNLIMITED).casefold(), str(NO_LIMIT)):
            return NO_LIMIT
        number = _parsed(self.name, text)
        if number is None or number > limits.LARGEST:
            raise ValidationError(_wrong(self.name), params={"text": text})
        return number

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the text stands for another limit than ``initial``; True for any other text."""
        try:
            return bool(initial != self.to_python(data))
        except ValidationError:
            return True


def _parsed(name: str, text: str) -> int | None:
    """Return the number in MiB or of images that a text stands for; None for any other text."""
    if limits.UNITS[name] == 1:
        return units.parse_number(text) if text.isascii() and text.isdecimal() else None
    try:
        size = units.parse_size(text)
    except ValueError:
        return None
    whole, rest = divmod(size, limits.UNITS[name])
    return None if rest else whole


def _wrong(name: str) -> str:
    if limits.UNITS[name] == 1:
        return _("“%(text)s” is not a limit. Use a whole number, or “unlimited”.")
    return _(
        "“%(text)s” is not a limit. Use a whole number of MiB, such as 500 GiB, or “unlimited”."
    )


def shown(name: str, value: int) -> str:
    """Return a limit in MiB or images as exact text, such as ``500 GiB``."""
    if value == NO_LIMIT:
        return str(UNLIMITED)
    if limits.UNITS[name] == 1:
        return str(value)
    unit = 0
    while value and value % 1024 == 0 and unit < len(_UNITS) - 1:
        value, unit = value // 1024, unit + 1
    return f"{value} {_UNITS[unit]}"


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a project: its name, and the limits that the operator has set for it."""

    class Meta:
        model = Project
        fields = ("name",)

    @property
    def changed_limits(self) -> dict[str, int | None]:
        """The limits that the user has changed: name -> MiB or images; None for the default."""
        return {
            name: self.cleaned_data[name]
            for name in self.changed_data
            if name in LABELS
        }


class LimitsForm(ProjectForm):
    """The form of a project with fields for its limits."""

    image_size_total = LimitField(limits.SIZE_TOTAL)
    image_stage_total = LimitField(limits.STAGE_TOTAL)
    image_count_total = LimitField(limits.COUNT_TOTAL)
    image_count_uploading = LimitField(limits.COUNT_UPLOADING)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        own, defaults = limits.own(self.instance.pk), limits.of(None)
        for name in LABELS:
            field = self.fields[name]
            field.initial = own.get(name)
            default = shown(name, limits.in_units(name, defaults[name]))
            sentence = _("Empty: the default, %(default)s.") % {"default": default}
            if name == limits.STAGE_TOTAL and limits.stages_as_stored():
                sentence = _("Empty: as much as the data of images.")
            field.help_text = sentence
