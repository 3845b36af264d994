"""Forms that request imports and copies, which the background worker carries out later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import imports, stores
from images.access import Caller
from images.admin.shortcuts import try_verb
from images.admin.url_forms import url_field
from images.expected_digests import HEX_DIGITS, is_digest
from images.imports import ChecksumFile, ImportRequest
from images.lifecycle.fetch_requests import MAX_URL
from images.models import ImageLocation, ImportMethod, LocationStatus, Transfer
from images.transfers import targets


class StoresForm(forms.Form):
    """A form in which the user chooses the stores that get an image's data."""

    stores = forms.MultipleChoiceField(
        label=gettext_lazy("Stores"), widget=forms.CheckboxSelectMultiple
    )
    allow_failure = forms.BooleanField(
        label=gettext_lazy("Allow failure"),
        required=False,
        help_text=gettext_lazy(
            "If some of the stores fail, the others keep the data. Otherwise none keeps it."
        ),
    )

    def __init__(self, store_ids: Sequence[str], data: Any = None) -> None:
        """Let the user choose from the stores ``store_ids``, of which the first is preselected."""
        super().__init__(data)
        field: Any = self.fields["stores"]
        field.choices = [(store_id, store_id) for store_id in store_ids]
        field.initial = store_ids[:1]
        if len(store_ids) < 2:
            del self.fields["allow_failure"]

    def request(
        self, image_id: str, method: ImportMethod, actor: Caller, **more: Any
    ) -> bool:
        """Request an import into the chosen stores; return whether the request was accepted.

        If it is refused, the error is added to the form. ``more`` are further values of the
        ImportRequest.
        """
        wanted = ImportRequest(
            method,
            store_ids=tuple(self.cleaned_data["stores"]),
            all_must_succeed=not self.cleaned_data.get("allow_failure"),
            **more,
        )
        verb = partial(imports.request_import, image_id, described(wanted), actor)
        if refused := try_verb(verb):
            self.add_error(None, refused)
        return not refused


class ImportForm(StoresForm):
    """A form for the URL from which the background worker downloads an image's data."""

    url = url_field(
        MAX_URL,
        gettext_lazy("A background worker downloads the data once."),
    )
    digest = forms.CharField(
        label=gettext_lazy("Expected digest"),
        required=False,
        max_length=max(HEX_DIGITS.values()),
        help_text=gettext_lazy(
            "MD5, SHA-1, SHA-256, SHA-384 or SHA-512 in hexadecimal. If you enter one, the "
            "import fails unless the data at the URL matches it."
        ),
    )

    checksum_url = url_field(
        MAX_URL,
        gettext_lazy(
            "The import fails unless this file, such as SHA256SUMS, has the digest of the data "
            "under the name at the end of the URL above."
        ),
        gettext_lazy("Checksum file"),
        required=False,
    )

    def __init__(self, data: Any = None) -> None:
        """Let the user choose from all stores that are not read-only."""
        super().__init__(further_stores(()), data)
        self.order_fields(["url", "digest", "checksum_url"])

    def clean_digest(self) -> dict[str, str]:
        """Return the digest as {algorithm: value}; empty if the user has entered none.

        The algorithm follows from the length. Raises ValidationError for a text that is no digest.
        """
        text = self.cleaned_data["digest"].lower()
        found = {name: text for name in HEX_DIGITS if is_digest(name, text)}
        if text and not found:
            raise forms.ValidationError(
                _("This is not a digest. Enter for example the 64 digits of a SHA-256.")
            )
        return found

    def apply(self, image_id: str, actor: Caller) -> bool:
        """Request the web download for an image; return whether the request was accepted.

        If it is refused, the error is added to the form.
        """
        values = self.cleaned_data
        more = {
            "uri": values["url"],
            "digests": values["digest"],
            "checksum_file": _checksum_file(values["checksum_url"], values["url"]),
        }
        return self.request(image_id, ImportMethod.WEB_DOWNLOAD, actor, **more)


def _checksum_file(url: str, data_url: str) -> ChecksumFile | None:
    return ChecksumFile(url, imports.name_in(data_url)) if url else None


def values_of(transfer: Transfer) -> dict[str, Any]:
    """Return the values of an import form for a web download that has ended: URL, digests, stores.

    The URLs lack their queries, which are not kept.
    """
    file = imports.checksum_file_of(transfer)
    # The expected digests of an import with a checksum file were read from that file.
    digests = {} if file else {"md5": transfer.checksum} | transfer.expected_digests
    strongest = [digests[it] for it in reversed(HEX_DIGITS) if digests.get(it)]
    return {
        "url": transfer.source.partition("?")[0],
        "digest": strongest[0] if strongest else "",
        "checksum_url": file.url.partition("?")[0] if file else "",
        "stores": [it.store for it in targets.of(transfer)] or [transfer.store],
    }


class CopyForm(StoresForm):
    """A form in which the user chooses the further stores that get a copy of an image's data."""

    def apply(self, image_id: str, actor: Caller) -> bool:
        """Request a copy into the chosen stores; return whether the request was accepted.

        If it is refused, the error is added to the form.
        """
        return self.request(image_id, ImportMethod.COPY_IMAGE, actor)


def described(wanted: ImportRequest) -> ImportRequest:
    """Return an import request with the JSON document that clients see in the import's task."""
    shown = imports.document(wanted.method, wanted.uri, wanted.store_ids)
    return replace(wanted, document=shown)


def further_stores(locations: Iterable[ImageLocation]) -> list[str]:
    """Return the ids of the writable stores to which an image with these locations can be copied.

    They have no copy of the image, or a damaged one.
    """
    present = {
        it.store
        for it in locations
        if it.status == LocationStatus.ACTIVE and not it.damage
    }
    return [
        store.id
        for store in stores.configured()
        if not store.read_only and store.id not in present
    ]
