"""The form for a location of an image at a URL, and the form field for the URL of data."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, lifecycle
from images.access import Caller
from images.lifecycle import AddLocation
from images.lifecycle.location_preparation import MAX_URL, trusts_owners
from images.stores import url_filter

URL = gettext_lazy("URL")


def _check(url: str) -> None:
    try:
        url_filter.check(url)
    except errors.ImageError as error:
        raise forms.ValidationError(str(error)) from None


def url_field(
    longest: int, outcome: Promise, label: Any = URL, *, required: bool = True
) -> forms.CharField:
    """Return a form field for the URL of an image's data, with at most ``longest`` characters.

    ``outcome``, a part of the help text, says what will happen with the data at the URL.
    """
    allowed = gettext_lazy(
        "An http or https URL of a public host, or of a host that the operator has allowed."
    )
    return forms.CharField(
        label=label,
        required=required,
        max_length=longest,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autofocus": required}),
        help_text=format_lazy("{} {}", allowed, outcome),
        validators=[_check],
    )


class LocationForm(forms.Form):
    """A form for a URL at which an image's data remains, and for the data's digest, if known."""

    url = url_field(
        MAX_URL,
        gettext_lazy("The data stays there and is read from there for each download."),
    )
    algorithm = forms.ChoiceField(
        label=gettext_lazy("Digest"),
        required=False,
        choices=[("", gettext_lazy("unknown"))]
        + [(name, name) for name in ("sha512", "sha384", "sha256")],
        help_text=gettext_lazy("If you choose one, the data must match it."),
    )
    digest = forms.CharField(
        label=gettext_lazy("Digest value"),
        max_length=128,
        required=False,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        if trusts_owners():
            self.fields["algorithm"].help_text = _(
                "If you choose one, it is trusted, unless the image has had data."
            )

    def clean(self) -> dict[str, Any]:
        """Check the URL and the digest, and return the values of the form.

        Stores the location to add in ``self.change``, for ``apply``. Raises ValidationError for an
        incomplete digest or a URL that is not allowed.
        """
        values = self.cleaned_data
        if bool(values.get("algorithm")) != bool(values.get("digest")):
            raise forms.ValidationError(
                _("The digest is incomplete. Enter its algorithm and its value.")
            )
        if "url" in values:
            self.change = self._parsed(values)
        return values

    def _parsed(self, values: dict[str, Any]) -> AddLocation:
        document: dict[str, Any] = {"url": values["url"]}
        if values.get("digest"):
            document["validation_data"] = {
                "os_hash_algo": values["algorithm"],
                "os_hash_value": values["digest"].strip(),
            }
        try:
            return AddLocation.parse(document)
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None

    def apply(self, image_id: str, actor: Caller, reason: str = "") -> bool:
        """Add the location to an image; return True, or False if that was refused.

        If it is refused, the error is added to the form.
        """
        try:
            lifecycle.add_location(image_id, self.change, actor, reason)
        except errors.ImageError as error:
            self.add_error(None, str(error))
            return False
        return True
