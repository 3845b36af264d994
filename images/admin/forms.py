"""The form of an image, which saves only the fields that the user has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.pickers import ProjectField
from images import errors, lifecycle
from images.access import Caller
from images.admin import definitions
from images.admin.properties import complaint
from images.attributes import (
    CONTAINER_FORMATS,
    DISK_FORMATS,
    MAX_INTEGER,
    MAX_LENGTH,
    VISIBILITIES,
    Changes,
    is_managed,
)
from images.models import Image, Status

NULLABLE = ("name", "owner", "disk_format", "container_format")
FORMATS = ("disk_format", "container_format")


def _formats(values: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [("", gettext_lazy("not set")), *((value, value) for value in values)]


class ImageForm(forms.Form):
    """The form with the attributes and tags of an image.

    Each field also sends the value that the page showed first. So only fields that the user has
    changed are saved, even if another request has changed the image in the meantime.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_LENGTH,
        required=False,
        strip=False,  # saving would otherwise change a name that begins with a blank
    )
    owner = ProjectField(
        label=gettext_lazy("Owner"),
        max_length=MAX_LENGTH,
        required=False,
        help_text=gettext_lazy("The project that owns the image, by name or id."),
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Visibility"),
        choices=[(value, value) for value in VISIBILITIES],
        initial="shared",
    )
    disk_format = forms.ChoiceField(
        label=gettext_lazy("Disk format"),
        choices=_formats(DISK_FORMATS),
        required=False,
    )
    container_format = forms.ChoiceField(
        label=gettext_lazy("Container format"),
        choices=_formats(CONTAINER_FORMATS),
        required=False,
    )
    min_disk = forms.IntegerField(
        label=gettext_lazy("Minimum disk (GiB)"),
        min_value=0,
        max_value=MAX_INTEGER,
        initial=0,
    )
    min_ram = forms.IntegerField(
        label=gettext_lazy("Minimum memory (MiB)"),
        min_value=0,
        max_value=MAX_INTEGER,
        initial=0,
    )
    protected = forms.BooleanField(
        label=gettext_lazy("Protected"),
        required=False,
        help_text=gettext_lazy("A protected image cannot be deleted."),
    )
    os_hidden = forms.BooleanField(
        label=gettext_lazy("Hidden"),
        required=False,
        help_text=gettext_lazy(
            "Lists omit hidden images unless a client asks for them."
        ),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=gettext_lazy("Separate tags with commas or lines."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        image: Image | None = None,
    ) -> None:
        super().__init__(data, initial=_initial(image))
        for name, field in self.fields.items():
            field.show_hidden_initial = image is not None
            if image and name in FORMATS and image.status != Status.QUEUED:
                field.disabled = True
                field.help_text = _("Only queued images can change their format.")

    def clean_tags(self) -> list[str]:
        """Return the tags, which the user separates with commas or lines.

        A tag with a comma, which the API allows, stays whole if the image has it already.
        """
        present = str(self.initial.get("tags", "")).splitlines()
        tags: list[str] = []
        for line in self.cleaned_data["tags"].splitlines():
            tags += [line] if line in present else map(str.strip, line.split(","))
        return [tag for tag in tags if tag]

    @property
    def attributes(self) -> dict[str, Any]:
        """All values of a valid form, by name. An empty name, owner or format is None."""
        return {
            name: (value or None) if name in NULLABLE else value
            for name, value in self.cleaned_data.items()
        }

    @property
    def changed(self) -> dict[str, Any]:
        """The values of a valid form that differ from the initial ones, by name."""
        return {name: self.attributes[name] for name in self.changed_data}


def _initial(image: Image | None) -> dict[str, Any] | None:
    if image is None:
        return None
    names = [name for name in ImageForm.base_fields if name != "tags"]
    initial = {name: getattr(image, name) for name in names}
    return initial | {"tags": "\n".join(image.tags)}


class PropertyRows:
    """The custom properties in a submitted form, and the properties that the page showed before.

    Only the difference, which the user has made, is saved: others can have changed the image
    meanwhile.
    """

    def __init__(self, post: QueryDict) -> None:
        shown = post.getlist(
            "shown_name"
        )  # names set by an API may have blanks around them
        names = [
            name if name in shown else name.strip()
            for name in post.getlist("property_name")
        ]
        values = [_lines(value) for value in post.getlist("property_value")]
        self.described = definitions.entered(post)
        pairs = [*zip(names, values, strict=False), *self.described.items()]
        self.values = {name: value for name, value in pairs if name}
        self.pairs = [pair for pair in pairs if any(pair)]
        shown_values = [_lines(value) for value in post.getlist("shown_value")]
        self.shown = dict(zip(shown, shown_values, strict=False))

    @property
    def changed(self) -> dict[str, str]:
        """The properties that the user has added or changed: name -> value."""
        return {
            name: value
            for name, value in self.values.items()
            if self.shown.get(name) != value
        }

    @property
    def removed(self) -> set[str]:
        """The names of the properties that the user has removed."""
        return set(self.shown) - set(self.values)

    @property
    def complaints(self) -> list[str]:
        """A sentence for each error in the submitted rows."""
        nameless = any(value and not name for name, value in self.pairs)
        twice = len([name for name, _value in self.pairs if name]) > len(self.values)
        complaints = [complaint(name, value) for name, value in self.changed.items()]
        return [
            *(
                [_("A property has a value but no name. Enter a name.")]
                if nameless
                else []
            ),
            *(
                [_("Two properties have the same name. Rename one of them.")]
                if twice
                else []
            ),
            *filter(None, complaints),
        ]


def _lines(text: str) -> str:
    # Browsers send CRLF line ends.
    return text.replace("\r\n", "\n")


def editable(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that users can edit: all but those that the service itself uses."""
    return {name: value for name, value in properties.items() if not is_managed(name)}


def _complete(form: ImageForm, rows: PropertyRows) -> bool:
    valid = form.is_valid()
    for sentence in rows.complaints:
        form.add_error(None, sentence)
    return valid and not rows.complaints


def update(image: Image, form: ImageForm, rows: PropertyRows, actor: Caller) -> bool:
    """Save the changed values of a form to an image; return False if they are refused, else True.

    If they are refused, the errors are added to the form.
    """
    if not _complete(form, rows):
        return False
    changes = Changes(form.changed, rows.changed, rows.removed)
    if not (changes.fields or changes.properties or changes.removed):
        return True
    try:
        lifecycle.update(image.pk, changes, actor)
    except errors.ImageError as error:
        form.add_error(None, str(error))
        return False
    return True


def create(form: ImageForm, rows: PropertyRows, actor: Caller) -> Image | None:
    """Create an image with the values of a form, and return it.

    Returns None if the values are refused; the errors are then added to the form.
    """
    if not _complete(form, rows):
        return None
    fields = form.attributes
    tags = fields.pop("tags")
    try:
        return lifecycle.create(fields, rows.values, tags, actor)
    except errors.ImageError as error:
        form.add_error(None, str(error))
        return None
