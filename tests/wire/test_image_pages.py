"""The pages of an image in a real browser: what is seen first, and what is typed and not lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.servers import Service
from tests.wire.api import Api
from tests.wire.browser import LIST, Screen, signed_in

pytestmark = pytest.mark.slow
DATA = b"the bytes of an image"
TABS = ("change", "data", "properties", "sharing", "history", "edit")


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as session:
        yield session


@pytest.fixture
def image_id(api: Api) -> str:
    """A new image with everything that the head of its pages shows."""
    fields: dict[str, Any] = {"name": "debian-13-genericcloud-amd64"}
    fields |= {"tags": ["golden", "lts"], "os_distro": "debian", "min_disk": 2}
    image_id = api.new(**fields)
    assert api.upload(image_id, DATA).status_code == 204
    api.post(f"images/{image_id}/members", json={"member": "friends"})
    return image_id


@pytest.fixture
def screen(browser: Browser, service: Service) -> Iterator[Screen]:
    size = {"width": 1440, "height": 900}
    with signed_in(browser, service, viewport=size) as screen:
        yield screen


def bottom(*shown: Locator) -> float:
    """The y coordinate of the lowest end of these elements, in pixels."""
    boxes = [it.bounding_box() for it in shown]
    return max(box["y"] + box["height"] for box in boxes if box)


def edit(page: Page, image_id: str) -> None:
    page.goto(f"{LIST}{image_id}/edit/")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 2 * 844)])
def test_facts_and_all_actions_are_seen_first(
    screen: Screen, image_id: str, width: int, height: int
) -> None:
    page = screen.page
    page.set_viewport_size({"width": width, "height": 900})
    screen.image(image_id)

    terms = ("Size", "Project", "Format", "Visibility", "Tags")
    facts = [page.get_by_role("term").filter(has_text=it).first for it in terms]
    labels = ("Download", "Edit", "Add a location", "Deactivate", "Delete")
    buttons = [page.get_by_role("link", name=it, exact=True) for it in labels]

    for shown in (*facts, *buttons, page.locator("h1 .badge")):
        expect(shown).to_be_visible()
    tabs = page.get_by_role("navigation", name="Pages of the image")
    assert bottom(*facts, *buttons, tabs) <= height


def test_no_tab_is_wider_than_a_small_phone(screen: Screen, image_id: str) -> None:
    screen.page.set_viewport_size({"width": 320, "height": 640})

    wide = {}
    for tab in TABS:
        screen.page.goto(f"{LIST}{image_id}/{tab}/")
        wide[tab] = screen.page.evaluate("document.documentElement.scrollWidth")

    assert wide == dict.fromkeys(TABS, 320)


def test_the_data_is_saved_by_a_button(screen: Screen, image_id: str) -> None:
    screen.image(image_id)
    with screen.page.expect_download() as started:
        screen.page.get_by_role("link", name="Download").click()

    assert started.value.suggested_filename == "debian-13-genericcloud-amd64.raw"
    assert started.value.path().read_bytes() == DATA


def test_what_was_typed_survives_the_end_of_the_session(
    screen: Screen, api: Api, image_id: str
) -> None:
    page = screen.page
    edit(page, image_id)
    page.get_by_label("Name:", exact=True).fill("typed for a long time")
    page.get_by_label("Protected").check()
    page.get_by_label("value of os_distro").fill("ubuntu")
    page.get_by_label("name of a new property").first.fill("os_version")
    page.get_by_label("value of a new property").first.fill("24.04")
    screen.context.clear_cookies()

    page.get_by_role("button", name="Save").click()
    page.get_by_label("Username").fill(screen.service.username)
    page.get_by_label("Password").fill(screen.service.password)
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_text("What you had typed is in the form again.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The changes were saved.")).to_be_visible()
    image = api.image(image_id)
    assert image["name"] == "typed for a long time"
    assert image["protected"] is True
    assert (image["os_distro"], image["os_version"]) == ("ubuntu", "24.04")
    edit(page, image_id)
    expect(page.get_by_text("What you had typed")).to_be_hidden()


def test_enter_in_the_name_of_a_property_does_not_save(
    screen: Screen, api: Api, image_id: str
) -> None:
    edit(screen.page, image_id)
    name = screen.page.get_by_label("name of a new property").first
    name.fill("half_a_name")
    name.press("Enter")

    value = screen.page.get_by_label("value of a new property").first
    expect(value).to_be_focused()
    assert "half_a_name" not in api.image(image_id)


def test_leaving_unsaved_changes_is_asked_about(screen: Screen, image_id: str) -> None:
    page = screen.page
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    edit(page, image_id)
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("h1 .badge")).to_be_visible()
    assert asked == []

    edit(page, image_id)
    page.get_by_label("Name:", exact=True).press_sequentially("x")
    page.get_by_role("link", name="Cancel").click()

    expect(page.locator("h1 .badge")).to_be_visible()
    assert asked == ["beforeunload"]


def test_a_refused_form_shows_its_errors_first(screen: Screen, image_id: str) -> None:
    page = screen.page
    edit(page, image_id)
    page.get_by_label("Minimum disk (GiB)").fill("-3")
    page.get_by_role("button", name="Save").click()

    alert = page.get_by_role("alert")
    expect(alert).to_be_in_viewport()
    alert.get_by_role("link", name="Minimum disk (GiB)").click()
    expect(page.get_by_label("Minimum disk (GiB)")).to_be_in_viewport()


def test_a_name_of_the_other_direction_leaves_its_surroundings_in_place(
    screen: Screen, api: Api
) -> None:
    image_id = api.new(name="תמונה 13")
    screen.image(image_id)

    heading = screen.page.locator("h1")
    name, badge = heading.locator("bdi").first, heading.locator(".badge")
    boxes = name.bounding_box(), badge.bounding_box()
    assert boxes[0]
    assert boxes[1]
    assert boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]
