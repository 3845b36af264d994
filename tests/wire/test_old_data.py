"""This release serves the data folder of the first version, also after a move to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import environments, old_data, servers
from tests.docs.blocks import blocks
from tests.docs.reader import Reader
from tests.servers import ROOT, Service
from tests.wire.api import Api

pytestmark = pytest.mark.slow

Images = list[dict[str, Any]]
# Images that were deleted long ago are not due to be deleted permanently.
SETTINGS = {"IMAGECATALOG_SCRUB_TIME": str(10**9)}
DATABASE = "postgresql://catalogue@db/catalogue"  # on the page


@pytest.fixture
def old(tmp_path: Path) -> Images:
    """The images in the data folder of the first version, which is unpacked."""
    return old_data.unpack(tmp_path / "data")


@contextmanager
def serving(folder: Path, **env: str) -> Iterator[Service]:
    with servers.catalogue(folder, SETTINGS | env, migrated=False, workers=1) as found:
        yield replace(found, password=old_data.PASSWORD)


def restore(service: Service, images: Images) -> None:
    """Restore the images in the trash, and assert that no check finds anything wrong."""
    with Api(service) as api:
        for image in images:
            if image["deleted"]:
                path = f"images/{image['shown']['id']}"
                assert api.get(path).status_code == 404
                assert api.post(f"{path}/actions/restore").status_code == 204
    assert service.manage("image_reconcile", "--bytes") == "Nothing is wrong.\n"


def assert_unchanged(service: Service, images: Images) -> None:
    """Assert that the images have their fields, their data and the beginning of their history."""
    with Api(service) as api:
        for image in images:
            now = api.image(image["shown"]["id"])
            changed = {"updated_at": now["updated_at"]} if image["deleted"] else {}
            before = image["shown"] | changed
            assert {name: now.get(name) for name in before} == before
            history = api.get(f"images/{before['id']}/history").json()["history"]
            assert history[0]["verb"] == "create"
            if image["data"] is not None:
                assert api.data(before["id"]) == image["data"].encode()


def test_images_of_the_first_version_are_served_unchanged(
    old: Images, tmp_path: Path
) -> None:
    with serving(tmp_path) as service:
        restore(service, old)
        assert_unchanged(service, old)


def test_the_documented_move_to_postgresql_keeps_everything(
    old: Images, postgres_url: str, terminal: int, tmp_path: Path
) -> None:
    url = servers.new_database(postgres_url)
    settings = SETTINGS | {"IMAGECATALOG_DATA_DIR": str(tmp_path / "data")}
    migrated = servers.manage(environments.environ(**settings), "migrate")
    assert migrated.returncode == 0, migrated.stderr
    reader = Reader(tmp_path / "checkout", settings, {DATABASE: url}, terminal)
    for block in blocks(ROOT / "docs" / "scale-out.md")[:4]:
        reader.follow(block, "none")

    with serving(tmp_path, DATABASE_URL=url) as service:
        restore(service, old)
        assert_unchanged(service, old)
        with Api(service) as api:
            assert api.upload(api.new(), b"new").status_code == 204
