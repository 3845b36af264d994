"""The data folder of a service of the first version, stored as an archive.

``python -m tests.old_data`` writes the archive.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("first.tar.xz")
# A file in the archive: each image as the service showed it, and its data.
IMAGES = "images.json"
FOLDER = "DATA_DIR"  # stands for the path of the data folder in that file
PASSWORD = "a password of the first service"


def unpack(data_dir: Path) -> list[dict[str, Any]]:
    """Unpack the data folder. Return the images: ``shown``, ``data`` (null if none), ``deleted``."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(data_dir, filter="data")
    listed = data_dir / IMAGES
    text = listed.read_text().replace(FOLDER, str(data_dir))
    images: list[dict[str, Any]] = json.loads(text)
    listed.unlink()
    return images
