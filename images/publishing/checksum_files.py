"""Checksum files in the form that ``sha256sum -c`` and ``sha512sum -c`` read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from images.publishing import documents, paths
from images.publishing.snapshot import PublishedVersion, file_name

# The name of the checksum file of a folder -> its algorithm.
OF_FOLDER: Final = {"SHA256SUMS": "sha256", "SHA512SUMS": "sha512"}


def of_file(name: str, digest: str) -> str:
    """Return the content of the checksum file for one file; ``digest`` is in hex."""
    return f"{digest}  {name}\n"


def of_version(
    family: str, version: PublishedVersion, algorithm: str, *, current: bool = False
) -> str:
    """Return the content of the checksum file for the folder of a version.

    ``algorithm`` is sha256 or sha512. With ``current`` the folder is the one of the current
    version, in which files have no label in their names.
    """
    name = file_name(family, version)
    if current:
        name = f"{family}.{version.extension}"
    digests = {"sha256": version.sha256, "sha512": version.sha512}
    return _text(
        {
            name: digests[algorithm],
            paths.ARCHIVE: _digest(version.archive, algorithm),
            paths.DOCUMENT: _digest(documents.encode(version.document), algorithm),
        }
    )


def _digest(content: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, content).hexdigest()


def _text(digests: Mapping[str, str]) -> str:
    return "".join(of_file(name, digest) for name, digest in sorted(digests.items()))
