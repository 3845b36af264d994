"""The data folder of a service with the first code of this project, which is stored here.

``python -m tests.old_data`` makes it.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("first.tar.xz")
IMAGES = (
    "images.json"  # in the archive: each image as the service showed it, and its data
)
FOLDER = "DATA_DIR"  # in this file, for that of the data
PASSWORD = "a password of the first service"


def unpack(data_dir: Path) -> list[dict[str, Any]]:
    """Make the data folder. Return the images: ``shown``, ``data`` (null if none), ``deleted``."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(data_dir, filter="data")
    listed = data_dir / IMAGES
    text = listed.read_text().replace(FOLDER, str(data_dir))
    images: list[dict[str, Any]] = json.loads(text)
    listed.unlink()
    return images
