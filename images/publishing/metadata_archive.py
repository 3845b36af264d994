"""The small archive that describes an image to Incus and LXD.

It has one file, metadata.yaml, see https://linuxcontainers.org/incus/docs/main/reference/image_format/.
The same values make the same bytes: the digest of the archive is in indexes.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from images.publishing import operating_system
from images.publishing.encoding import one_line


def build(
    *,
    family: str,
    title: str,
    label: str,
    architecture: str,
    build_date: date,
    properties: Mapping[str, str],
) -> bytes:
    """Return the archive meta.tar.xz of a version.

    ``family``, ``title`` and ``architecture`` are those of its family, ``properties`` the custom
    properties of its image. Store the result with the version: another release of liblzma can
    compress the same content to other bytes, with another digest.
    """
    system = operating_system.of_properties(properties, family)
    described = {
        "architecture": architecture,
        "description": f"{title or family} ({label})",
        "name": f"{family}-{label}",
        "os": system.name,
        "release": system.release,
        "serial": label,
    }
    midnight = datetime.combine(build_date, time(), UTC)
    metadata = {
        "architecture": architecture,
        "creation_date": int(midnight.timestamp()),
        "properties": {name: one_line(text) for name, text in described.items()},
    }
    # JSON of printable characters is YAML.
    text = json.dumps(metadata, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    return lzma.compress(_tar("metadata.yaml", text.encode()))


def _tar(name: str, content: bytes) -> bytes:
    member = tarfile.TarInfo(name)  # of root, in 1970
    member.size = len(content)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()
