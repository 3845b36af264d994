"""A family of two images, for clients that ask for its current image by name."""

from __future__ import annotations

from typing import Any

from signing_in import DISK, session

API = "/catalog/v1/families"
FORMATS = {"disk_format": "raw", "container_format": "bare"}
OCTETS = {"Content-Type": "application/octet-stream"}


class Family:
    """A new family, whose first image is current."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._session = session()
        self._ask("POST", API, json={"name": name, "architecture": "x86_64"})
        self.images = [self._add(label) for label in ("1", "2")]
        self.promote("1")

    def promote(self, label: str) -> None:
        """Make a version current."""
        self._ask("POST", f"{API}/{self.name}/promote", json={"version": label})

    def rollback(self) -> None:
        """Make the version current that was current before."""
        self._ask("POST", f"{API}/{self.name}/rollback", json={})

    def delete(self) -> None:
        """Delete the family and its images."""
        self._ask("DELETE", f"{API}/{self.name}")
        for image in self.images:
            self._ask("DELETE", f"/v2/images/{image}")

    def _add(self, label: str) -> str:
        """The id of a new image, which is a version of the family."""
        made = self._ask("POST", "/v2/images", json={"name": self.name, **FORMATS})
        image: str = made.json()["id"]
        data = DISK.read_bytes()
        self._ask("PUT", f"/v2/images/{image}/file", data=data, headers=OCTETS)
        version = {"image": image, "label": label}
        self._ask("POST", f"{API}/{self.name}/versions", json=version)
        return image

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        service = {"service_type": "image"}
        return self._session.request(path, method, endpoint_filter=service, **options)
