"""Imports in a real browser: they are seen moving, cancelled, and seen ending."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests import servers
from tests.servers import Service
from tests.web import Slow, allow, serving
from tests.wire.api import Api
from tests.wire.browser import Screen, signed_in

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)
TRANSFERS = "/admin/images/transfer/"


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The URL of a web server that sends the rest of its data when it is told to."""
    Slow.go_on.clear()
    with serving(Slow) as url:
        yield f"{url}/disk.raw"
        Slow.go_on.set()


@pytest.fixture(scope="module")
def service(web: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two stores, which may fetch from that server."""
    folder = tmp_path_factory.mktemp("imports")
    env = allow(web) | {
        "IMAGECATALOG_STORES": f"local=file://{folder}/near,far=file://{folder}/far,"
        f"third=file://{folder}/third",
        # The web server is silent until it is told to go on.
        "IMAGECATALOG_LEASE_SECONDS": "600",
    }
    with servers.catalogue(folder, env) as found:
        yield found


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as session:
        yield session


@pytest.fixture
def screen(browser: Browser, service: Service) -> Iterator[Screen]:
    with signed_in(browser, service) as screen:
        yield screen


def test_an_import_is_seen_moving_and_cancelled(
    screen: Screen, api: Api, web: str
) -> None:
    image_id, page = api.new(name="slow"), screen.page
    screen.image(image_id)
    page.get_by_role("link", name="Import from a URL").click()
    page.get_by_label("URL").fill(web)
    screen.shoot("image-import")
    page.get_by_role("button", name="Import").click()
    expect(page.locator("h1 .badge")).to_have_text("Importing")

    # The page shows by itself that the worker has begun.
    expect(page.locator("progress")).to_be_visible()
    screen.shoot("image-importing")
    page.goto(TRANSFERS)
    expect(page.get_by_role("link", name="slow")).to_be_visible()
    screen.shoot("transfers")
    page.get_by_role("link", name="Cancel", exact=True).click()
    page.get_by_label("Reason").fill("too slow")
    page.get_by_role("button", name="Cancel transfer").click()

    expect(page.get_by_text("Transfer cancelled.")).to_be_visible()
    screen.image(image_id)
    assert screen.status() == "Queued"
    Slow.go_on.set()


def test_a_copy_appears_on_the_page_of_its_image(screen: Screen, api: Api) -> None:
    image_id, page = api.new(name="copied"), screen.page
    assert api.upload(image_id, bytes(4096)).status_code == 204
    screen.image(image_id)
    page.get_by_role("link", name="Copy to another store").click()
    expect(page.get_by_label("far")).to_be_checked()
    page.get_by_label("third").check()
    screen.shoot("image-copying")
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("link", name="Data").click()

    locations = page.get_by_role("region", name="Locations")
    for store in ("far", "third"):
        expect(locations.get_by_role("rowheader", name=store)).to_be_visible()
    screen.shoot("image-copied")
