"""A published family and its versions, as values that files, indexes and pages are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version of a published family, with its file."""

    label: str
    image_id: str
    build_date: date
    published_at: datetime  # UTC; Last-Modified of its files
    current: bool
    disk_format: str
    extension: str  # "qcow2", "raw", "iso", ...; "raw.gz" for compressed data
    size: int  # bytes of the file
    virtual_size: int  # bytes of the disk
    md5: str  # in hex, as the other digests
    sha256: str
    sha512: str
    properties: Mapping[str, str]  # custom properties of the image that can be public
    archive: bytes  # meta.tar.xz
    combined_sha256: str  # of the archive and the file after it; "" unless qcow2
    # meta.json: the v2 document of the image, without owner and locations.
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PublishedFamily:
    """A published family with the versions that can be fetched."""

    name: str
    title: str
    description: str
    homepage: str
    architecture: str  # "x86_64", "aarch64", ...
    image_name: str  # what clients of the Image API ask for
    project: str  # "": public
    revision: int  # grows with every promotion
    aliases: tuple[str, ...]
    template: Mapping[str, object]
    updated_at: datetime
    versions: tuple[PublishedVersion, ...]  # newest first, without withdrawn ones

    @property
    def current(self) -> PublishedVersion | None:
        """The current version, or None."""
        return next((it for it in self.versions if it.current), None)


def file_name(family: str, version: PublishedVersion) -> str:
    """Return the name of a version's file, such as debian-13-20260131.qcow2."""
    return f"{family}-{version.label}.{version.extension}"


def current_file_name(family: str, version: PublishedVersion) -> str:
    """Return the name of a version's file while it is current, such as debian-13.qcow2."""
    return f"{family}.{version.extension}"
