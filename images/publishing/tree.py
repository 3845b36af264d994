"""The files of a published family, as pure functions of its values."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from images.publishing import checksum_files, encoding, paths
from images.publishing.snapshot import (
    PublishedFamily,
    PublishedVersion,
    current_file_name,
    file_name,
)

# Name of a file -> its content; None: the data of the image.
Folder = dict[str, bytes | None]

DETACHED: Final = ".gpg"
CLEARSIGNED: Final = ".asc"


def version_folder(family: PublishedFamily, version: PublishedVersion) -> Folder:
    """Return the files of a version's folder, without signatures."""
    return _folder(version, file_name(family.name, version))


def current_folder(family: PublishedFamily) -> Folder:
    """Return the files of the folder current/, without signatures; none without a current version."""
    version = family.current
    if version is None:
        return {}
    return _folder(version, current_file_name(family.name, version))


def signable(family: PublishedFamily) -> Iterator[bytes]:
    """Yield the texts of a family that are signed: the checksum files of its folders."""
    folders = [version_folder(family, version) for version in family.versions]
    for folder in (*folders, current_folder(family)):
        yield from (folder[name] or b"" for name in checksum_files.OF_FOLDER if folder)


def signed(folder: Folder, signatures: Mapping[str, Sequence[str]]) -> Folder:
    """Return the files of a folder, and for its checksum files the signatures that exist.

    ``signatures`` has for the key of a text (see ``key_of``) its detached signature in base64, and
    its clearsigned text.
    """
    found: Folder = {}
    for name in checksum_files.OF_FOLDER:
        if made := signatures.get(key_of(folder.get(name) or b"")):
            found[f"{name}{DETACHED}"] = b64decode(made[0])
            found[f"{name}{CLEARSIGNED}"] = made[1].encode()
    return {**folder, **found}


def key_of(text: bytes) -> str:
    """Return the key under which a family's signatures have those of a text: its SHA-256 digest."""
    return hashlib.sha256(text).hexdigest()


def _folder(version: PublishedVersion, name: str) -> Folder:
    sums = {
        sums: checksum_files.of_version(version, name, algorithm)
        for sums, algorithm in checksum_files.OF_FOLDER.items()
    }
    digests: Mapping[str, str] = {"sha256": version.sha256, "sha512": version.sha512}
    return {
        name: None,
        **{
            f"{name}.{algorithm}": checksum_files.text({name: digest})
            for algorithm, digest in digests.items()
        },
        **sums,
        paths.DOCUMENT: encoding.json_file(version.document),
        paths.ARCHIVE: version.archive,
    }
