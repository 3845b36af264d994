"""The request of a client of the import API, independent of HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from images.models import ImportMethod
from images.transfers.sources import masked


@dataclass(frozen=True)
class RemoteReference:
    """The image of another region that an import request names, and the token of the client."""

    region: str = ""
    image_id: str = ""
    interface: str = "public"
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class ChecksumFile:
    """The URL of a checksum file that states digests of the data, and the data's name in this file."""

    url: str
    name: str


@dataclass(frozen=True)
class ImportRequest:
    """A requested import: the method, the URL of the data, and the stores that get the data.

    ``document`` is the JSON object that the task keeps and shows of the request, without
    secrets.
    """

    method: str
    uri: str = ""
    remote: RemoteReference = RemoteReference()
    size: int | None = None  # bytes, as the client expects or the web server reports
    store_ids: tuple[str, ...] = ()  # empty: the default store
    all_stores: bool = False  # instead of ``store_ids``
    all_must_succeed: bool = True  # else the import succeeds with one of its stores
    # Expected of the data: algorithm -> hexadecimal digest.
    digests: Mapping[str, str] = field(default_factory=dict)
    checksum_file: ChecksumFile | None = None
    # Expected of the data as plugins have changed it: digests, as above, and ``size`` (bytes).
    expected_after: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)


def document(method: str, uri: str, store_ids: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object that a task shows of a request; URLs are without their secret query."""
    shown = {"name": method}
    if method == ImportMethod.WEB_DOWNLOAD:
        shown["uri"] = masked(uri)
    return {"method": shown, "stores": list(store_ids)}
