"""Write the archive: start the service of the first version, and create images there.

Needs a checkout with the whole history, from which it takes the code of the first version.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

from tests import old_code, old_data, servers
from tests.wire.api import PATCH, Api

FIRST = "081cb69"  # the first commit of the history
TEXT = "Bücher & <Regale>"
# The attributes and the data of each image.
NEW: list[tuple[dict[str, Any], str | None]] = [
    ({"name": "public", "visibility": "public", "protected": True}, "of everybody"),
    (
        {"name": TEXT, "tags": ["lts", TEXT], "os_distro": "debian", TEXT: TEXT},
        "x" * 9999,
    ),
    ({"name": "hidden", "os_hidden": True, "min_ram": 512, "min_disk": 7}, "hidden"),
    ({"name": "empty", "disk_format": None, "container_format": None}, None),
    ({"name": "deactivated", "visibility": "community"}, "deactivated"),
    ({"name": "deleted", "tags": ["kept"], "os_version": "13"}, "in the trash"),
]


def make(api: Api, fields: dict[str, Any], data: str | None) -> dict[str, Any]:
    """Create an image; return what ``old_data.unpack`` returns of it."""
    image_id = api.new(**fields)
    if data is not None:
        assert api.upload(image_id, data.encode()).status_code == 204
    if fields["name"] == "deactivated":
        assert api.post(f"images/{image_id}/actions/deactivate").status_code == 204
    if fields["name"] == TEXT:
        change = [{"op": "replace", "path": "/os_distro", "value": "ubuntu"}]
        assert api.patch(f"images/{image_id}", json=change, headers=PATCH).ok
    shown, deleted = api.image(image_id), fields["name"] == "deleted"
    if deleted:
        assert api.delete(f"images/{image_id}").status_code == 204
    return {"shown": shown, "data": data, "deleted": deleted}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
    django.setup()  # for the document with which answers are compared
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old_code.unpack(FIRST, folder / "code")
        env = {
            "IMAGECATALOG_ADMIN_PASSWORD": old_data.PASSWORD,
            "IMAGECATALOG_SECRET_KEY": "of the first service",
        }
        with (
            servers.catalogue(
                folder, env, workers=1, migrated=False, root=folder / "code"
            ) as service,
            Api(replace(service, password=old_data.PASSWORD)) as api,
        ):
            images = [make(api, *new) for new in NEW]
        data_dir = service.data_dir
        with closing(sqlite3.connect(data_dir / servers.SQLITE)) as database:
            database.execute("VACUUM")
        listed = json.dumps(images, indent=1).replace(str(data_dir), old_data.FOLDER)
        (data_dir / old_data.IMAGES).write_text(listed)
        with tarfile.open(old_data.ARCHIVE, "w:xz") as archive:
            for path in sorted(data_dir.iterdir()):
                archive.add(path, path.name)
    print(f"{old_data.ARCHIVE}: {old_data.ARCHIVE.stat().st_size} bytes")


main()
