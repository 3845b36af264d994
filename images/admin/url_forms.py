"""Forms for a URL with an image's data, which stays there or is downloaded into a store."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, lifecycle, stores
from images.access import Caller
from images.attributes import Changes
from images.lifecycle import AddLocation, Source
from images.lifecycle.fetch_requests import MAX_URL as MAX_SOURCE
from images.lifecycle.location_preparation import MAX_URL, trusts_owners
from images.models import Status
from images.stores import url_filter


def _check(url: str) -> None:
    try:
        url_filter.check(url)
    except errors.ImageError as error:
        raise forms.ValidationError(str(error)) from None


def _url(longest: int, outcome: Promise) -> forms.CharField:
    """Return the field for a URL; ``outcome`` is a sentence on the use of its data."""
    allowed = gettext_lazy(
        "An http or https URL of a public host, or of a host that the operator has allowed."
    )
    return forms.CharField(
        label=gettext_lazy("URL"),
        max_length=longest,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autofocus": True}),
        help_text=format_lazy("{} {}", allowed, outcome),
        validators=[_check],
    )


class LocationForm(forms.Form):
    """A form for a URL at which the data stays, and for the digest of the data if it is known."""

    url = _url(
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
        """Check URL and digest, and return the values.

        Keeps the change of locations that they make as ``change``, for ``apply``. Raises
        ValidationError for an incomplete digest or a URL that is not accepted.
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
        """Add the location to an image; return False, with an error in the form, if refused."""
        try:
            lifecycle.add_location(image_id, self.change, actor, reason)
        except errors.ImageError as error:
            self.add_error(None, str(error))
            return False
        return True


def _writable() -> list[tuple[str, str]]:
    return [
        (store.id, store.id) for store in stores.configured() if not store.read_only
    ]


class FetchForm(forms.Form):
    """A form for a URL from which the background worker downloads the data."""

    url = _url(
        MAX_SOURCE,
        gettext_lazy("A background worker downloads the data once."),
    )
    store = forms.ChoiceField(
        label=gettext_lazy("Store"), choices=_writable, required=False
    )
    checksum = forms.RegexField(
        "^[0-9a-fA-F]{32}$",
        label=gettext_lazy("MD5"),
        required=False,
        help_text=gettext_lazy("If you enter it, the data must match it."),
    )

    def apply(self, image_id: str, actor: Caller) -> bool:
        """Request a web download for an image, which the background worker carries out later.

        Returns False, with an error in the form, if the request is refused.
        """
        values = self.cleaned_data
        source = Source(
            values["url"],
            checksum=values["checksum"].lower() or None,
            store_id=values["store"] or None,
            status_on_failure=Status.QUEUED,
        )
        try:
            lifecycle.request_fetch(image_id, source, Changes(), actor)
        except errors.ImageError as error:
            self.add_error(None, str(error))
            return False
        return True
