"""Checksum files in the form that ``sha256sum -c`` and ``sha512sum -c`` read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from images.publishing import paths
from images.publishing.snapshot import PublishedVersion

# The name of the checksum file of a folder -> its algorithm.
OF_FOLDER: Final = {"SHA256SUMS": "sha256", "SHA512SUMS": "sha512"}


def text(digests: Mapping[str, str]) -> bytes:
    """Return the content of a checksum file; ``digests`` are in hex, by the names of files."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return "".join(lines).encode()


def of_version(version: PublishedVersion, name: str, algorithm: str) -> bytes:
    """Return the content of the checksum file for the folder of a version.

    It lists the image's file and the archive, which never change; not meta.json, which changes with
    the image's attributes. ``name`` is the name of the image's file in this folder; ``algorithm``
    is sha256 or sha512.
    """
    digests = {"sha256": version.sha256, "sha512": version.sha512}
    return text(
        {
            name: digests[algorithm],
            paths.ARCHIVE: _digest(version.archive, algorithm),
        }
    )


def _digest(content: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, content).hexdigest()
