"""Forms for data that is at a URL: to be left there, or to be fetched into a store of ours."""

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
from images.lifecycle.location_changes import MAX_URL, trusting
from images.models import Status
from images.stores import urlfilter


def _check(url: str) -> None:
    try:
        urlfilter.check(url)
    except errors.ImageError as error:
        raise forms.ValidationError(str(error)) from None


def _url(longest: int, outcome: Promise) -> forms.CharField:
    """The field for an address; ``outcome``: what will become of the data there."""
    allowed = gettext_lazy(
        "http or https, of a public address or one that the operator has allowed."
    )
    return forms.CharField(
        label=gettext_lazy("URL"),
        max_length=longest,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autofocus": True}),
        help_text=format_lazy("{} {}", allowed, outcome),
        validators=[_check],
    )


class LocationForm(forms.Form):
    """A URL, and what the data there is known to be."""

    url = _url(
        MAX_URL,
        gettext_lazy(
            "The data stays there; it is asked for each time that the image is read."
        ),
    )
    algorithm = forms.ChoiceField(
        label=gettext_lazy("Digest"),
        required=False,
        choices=[("", gettext_lazy("none is known"))]
        + [(name, name) for name in ("sha512", "sha384", "sha256")],
        help_text=gettext_lazy(
            "Where one is given, the data is read once and must match."
        ),
    )
    digest = forms.CharField(
        label=gettext_lazy("Its value"),
        max_length=128,
        required=False,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        if trusting():
            self.fields["algorithm"].help_text = _(
                "Where one is given, it is believed, unless the image has had data."
            )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if bool(given.get("algorithm")) != bool(given.get("digest")):
            raise forms.ValidationError(
                _("A digest needs its algorithm, and its value.")
            )
        if "url" in given:
            self.change = self._parsed(given)
        return given

    def _parsed(self, given: dict[str, Any]) -> AddLocation:
        document: dict[str, Any] = {"url": given["url"]}
        if given.get("digest"):
            document["validation_data"] = {
                "os_hash_algo": given["algorithm"],
                "os_hash_value": given["digest"].strip(),
            }
        try:
            return AddLocation.parse(document)
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None

    def bring(self, image_id: str, actor: Caller, reason: str = "") -> bool:
        """Give the location to an image; False: the form says why it was refused."""
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


class CopyForm(forms.Form):
    """A URL from which a background worker fetches the data."""

    url = _url(
        MAX_SOURCE,
        gettext_lazy("The data is fetched once, by a background worker."),
    )
    store = forms.ChoiceField(
        label=gettext_lazy("Into store"), choices=_writable, required=False
    )
    checksum = forms.RegexField(
        "^[0-9a-fA-F]{32}$",
        label=gettext_lazy("MD5"),
        required=False,
        help_text=gettext_lazy("Where it is given, the data must have it."),
    )

    def bring(self, image_id: str, actor: Caller) -> bool:
        """Have the data of an image fetched; False: the form says why it was refused."""
        given = self.cleaned_data
        source = Source(
            given["url"],
            checksum=given["checksum"].lower() or None,
            store_id=given["store"] or None,
            status_on_failure=Status.QUEUED,
        )
        try:
            lifecycle.request_fetch(image_id, source, Changes(), actor)
        except errors.ImageError as error:
            self.add_error(None, str(error))
            return False
        return True
