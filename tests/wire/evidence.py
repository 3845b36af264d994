"""What database and stores really hold, asked behind the back of the service."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import Service, wait_until

PARTS = os.path.join(".nanio", "multipart", "")  # of unfinished uploads to S3


@dataclass(frozen=True)
class Evidence:
    """Of one service."""

    service: Service
    folder: Path  # where all that its stores hold rests

    def status(self, image_id: str) -> str:
        """Also of an image that the API does not show any more."""
        query = f"SELECT status FROM images_image WHERE id = '{image_id}'"
        ((status,),) = self.rows(query)
        return status

    def files(self, image_id: str) -> list[str]:
        """All that holds bytes of the image, also of uploads that were broken off."""
        return [path for path in self._walk() if _belongs(path, image_id)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        url = self.service.env.get("DATABASE_URL")
        if url:
            with psycopg.connect(url) as connection:
                return connection.execute(query.encode()).fetchall()
        path = self.service.data_dir / "catalogue.sqlite3"
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def wait_for(self, image_id: str, status: str, seconds: float = 60) -> None:
        """Until the image has this status."""

        def reached() -> bool:
            return self.status(image_id) == status

        wait_until(reached, f"the way of {image_id} to {status}", seconds)

    def wait_for_nothing_left(self, image_id: str, seconds: float = 60) -> None:
        """Until no store holds a byte of the image."""

        def gone() -> bool:
            return not self.files(image_id)

        wait_until(gone, f"the removal of the bytes of {image_id}", seconds)

    def _walk(self) -> Iterator[str]:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                yield os.path.join(folder, name)


def _belongs(path: str, image_id: str) -> bool:
    if PARTS not in path:
        return image_id in path
    # The name of the object is in a note beside the parts, which may vanish meanwhile.
    try:
        return path.endswith("init.json") and image_id in Path(path).read_text()
    except FileNotFoundError:
        return False
