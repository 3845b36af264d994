"""The form of an edit of many images: each field that is left empty changes nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.pickers import ProjectField
from images.admin.properties import complaint
from images.attributes import MAX_LENGTH, VISIBILITIES
from images.bulk.edits import Edit

KEEP = [("", gettext_lazy("keep"))]
YES_NO = [*KEEP, ("1", gettext_lazy("yes")), ("0", gettext_lazy("no"))]


def _lines_field(label: Any, help_text: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        help_text=help_text,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class EditForm(forms.Form):
    """The form in which a user says what an edit changes in each of the selected images."""

    add_tags = _lines_field(gettext_lazy("Add tags"), gettext_lazy("One per line."))
    remove_tags = _lines_field(
        gettext_lazy("Remove tags"), gettext_lazy("One per line.")
    )
    properties = _lines_field(
        gettext_lazy("Set properties"),
        gettext_lazy("One per line, such as os_distro=debian."),
    )
    remove_properties = _lines_field(
        gettext_lazy("Remove properties"), gettext_lazy("One name per line.")
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Visibility"),
        choices=[*KEEP, *((value, value) for value in VISIBILITIES)],
        required=False,
    )
    owner = ProjectField(
        label=gettext_lazy("Owner"),
        max_length=MAX_LENGTH,
        required=False,
        help_text=gettext_lazy("A project, by name or id. Empty: keep."),
    )
    protected = forms.ChoiceField(
        label=gettext_lazy("Protected"), choices=YES_NO, required=False
    )
    os_hidden = forms.ChoiceField(
        label=gettext_lazy("Hidden"), choices=YES_NO, required=False
    )

    @classmethod
    def of(cls, edit: Edit) -> EditForm:
        """Return the form with the values of an edit."""
        fields = {
            name: str(int(value)) if isinstance(value, bool) else value
            for name, value in edit.fields.items()
        }
        lists = {
            "add_tags": edit.add_tags,
            "remove_tags": edit.remove_tags,
            "properties": [f"{key}={value}" for key, value in edit.properties.items()],
            "remove_properties": edit.remove_properties,
        }
        texts = {name: "\n".join(lines) for name, lines in lists.items()}
        return cls(initial=fields | texts)

    def clean_properties(self) -> dict[str, str]:
        """Return the properties as {name: value}.

        Raises ValidationError for a line that is no ``name=value``, and for a value that compute
        services could not read.
        """
        pairs = [line.partition("=") for line in _lines(self, "properties")]
        for name, equals, value in pairs:
            if not (name.strip() and equals):
                raise ValidationError(
                    _(
                        "“%(text)s” is not a property. Use for example os_distro=debian."
                    ),
                    params={"text": f"{name}{equals}{value}"},
                )
        found = {name.strip(): value.strip() for name, _equals, value in pairs}
        if wrong := [*filter(None, map(complaint, found, found.values()))]:
            raise ValidationError(wrong)
        return found

    @property
    def edit(self) -> Edit:
        """The edit that a valid form describes."""
        values = self.cleaned_data
        texts = {name: values[name] for name in ("visibility", "owner") if values[name]}
        flags = {
            name: values[name] == "1"
            for name in ("protected", "os_hidden")
            if values[name]
        }
        return Edit(
            fields=texts | flags,
            add_tags=_lines(self, "add_tags"),
            remove_tags=_lines(self, "remove_tags"),
            properties=values["properties"],
            remove_properties=_lines(self, "remove_properties"),
        )


def _lines(form: forms.Form, name: str) -> tuple[str, ...]:
    """Return the lines that a user has entered in a field, without empty ones."""
    lines = map(str.strip, form.cleaned_data[name].splitlines())
    return tuple(dict.fromkeys(filter(None, lines)))
