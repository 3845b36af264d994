"""Zip files, made in memory."""

from __future__ import annotations

import io
import zipfile


def zipped(
    data: bytes, method: int = zipfile.ZIP_DEFLATED, names: tuple[str, ...] = ("disk",)
) -> bytes:
    """Return a zip file with ``data`` in each of the files ``names``."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()
