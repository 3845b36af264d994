"""The admin in a real browser, against the real service. Leaves pictures for people to look at."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.servers import Service
from tests.wire.api import Api, CatalogApi, connect, upload_head
from tests.wire.browser import FRONT, LIST, SIGN_IN, Screen

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)
Open = Callable[..., Screen]
MIB = 1 << 20
AXE = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},  # 24 px, not looked at by default
}
FAMILIES = "/admin/images/family/"
POLICIES = "/admin/images/retentionpolicy/"
PEOPLE = {
    "clients": "/admin/auth/user/1/clients/",
    "user": "/admin/auth/user/1/change/",
    "sign-in-log": "/admin/identity/signinevent/",
}
ACTIVITY = "/admin/activity/"
SEARCH = "/admin/search/?q=image"
TABS = ("data", "properties", "sharing", "history", "edit")  # of an image's page
# Pages of Django's own admin. Phones show their lists as cards.
DJANGO = {
    "users": "/admin/auth/user/",
    "group": "/admin/auth/group/1/change/",
    "add-credential": "/admin/identity/applicationcredential/add/",
    "password": "/admin/password_change/",
    "system": "/admin/system/",
}
# Pages that are shown in pictures.
SHOWN = {
    "front",
    "list",
    "image",
    "confirm",
    "add-by-location",
    "clients",
    "preview",
}


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as session:
        yield session


@pytest.fixture
def window(browser: Browser, service: Service) -> Iterator[Open]:
    """``window(color_scheme="dark")``: a window, signed in; nothing may complain in it."""
    opened: list[Screen] = []

    def open_window(signed_in: bool = True, **options: Any) -> Screen:
        screen = Screen(browser, service, **options)
        opened.append(screen)
        if signed_in:
            screen.sign_in()
        return screen

    yield open_window
    complaints = [text for screen in opened for text in screen.complaints]
    for screen in opened:
        screen.context.close()
    assert complaints == []


@pytest.fixture
def screen(window: Open) -> Screen:
    return window()


@pytest.fixture
def tag() -> str:
    """Of this test's images alone: others are in the same catalogue."""
    return f"tag-{uuid4().hex[:8]}"


def filled(api: Api, tag: str, size: int = 4096, **fields: Any) -> str:
    """The id of a new image with data."""
    image_id = api.new(tags=[tag], **fields)
    assert api.upload(image_id, bytes(size)).status_code == 204
    return image_id


def family(service: Service, name: str, *image_ids: str) -> str:
    """The path of the pages of a new family, with a version "1", "2"… for each image."""
    with CatalogApi(service) as api:
        values = {"name": name, "architecture": "x86_64", "publish": True}
        family_id = api.post("families", json=values).json()["id"]
        for label, image_id in enumerate(image_ids, 1):
            version = {"image": image_id, "label": str(label), "promote": label == 1}
            added = api.post(f"families/{family_id}/versions", json=version)
            assert added.status_code == 201, added.text
    return f"{FAMILIES}{family_id}/"


def policy(service: Service, page: Page, tag: str) -> dict[str, str]:
    """The paths of the pages of a new retention policy for these images, and of a run of it."""
    with CatalogApi(service) as api:
        values = {
            "name": tag,
            "scope": {"everything": True},
            "select": {"tags": [tag]},
            "keep": {"last": 1},
            "actions": [{"hide": "0d"}],
        }
        assert api.post("retention", json=values).status_code == 201
        assert api.post(f"retention/{tag}/run", json={"force": True}).ok
        run = api.get(f"retention/{tag}/runs").json()["runs"][0]["id"]
    page.goto(POLICIES)
    path = page.get_by_role("link", name=tag).get_attribute("href")
    assert path
    return {
        "policies": POLICIES,
        "policy": path,
        "add-policy": f"{POLICIES}add/",
        "preview": path.replace("change/", "preview/"),
        "run": f"{POLICIES}runs/{run}/",
    }


# Signing in


def test_who_signs_in_sees_the_overview(window: Open) -> None:
    screen = window(signed_in=False)
    screen.sign_in(password="a wrong one")
    expect(screen.page.get_by_text("The name or the password is wrong")).to_be_visible()
    screen.shoot("sign-in")

    screen.sign_in()

    expect(screen.page.get_by_role("heading", name="Overview")).to_be_visible()


# The life cycle, by button


def test_every_move_by_button(screen: Screen, api: Api, tag: str) -> None:
    image_id = filled(api, tag, name="debian-13-generic")
    screen.image(image_id)
    for label, status in (
        ("Deactivate", "Deactivated"),
        ("Reactivate", "Active"),
        ("Delete", "In trash"),
        ("Restore", "Active"),
        ("Delete", "In trash"),
        ("Delete permanently", "Deleted"),
    ):
        screen.move(label, f"tried: {label}")
        assert screen.status() == status

    expect(screen.page.get_by_text("tried: Delete permanently").first).to_be_visible()
    screen.shoot("image-deleted")


def test_an_upload_is_seen_moving_and_ended_by_button(
    screen: Screen, service: Service, api: Api, tag: str
) -> None:
    image_id = api.new(name="an upload that hangs", tags=[tag])
    with connect(service) as sock:
        sock.sendall(upload_head(service, image_id, f"Content-Length: {64 * MIB}"))
        sock.sendall(bytes(16 * MIB))
        screen.image(image_id)
        expect(screen.page.locator("h1 .badge")).to_have_text("Saving")
        expect(screen.page.locator("progress")).to_be_visible()
        screen.shoot("image-saving")
        screen.move("Cancel transfer", "it hangs")

    assert screen.status() == "Queued"
    told = screen.page.get_by_text("An operator ended the transfer. it hangs")
    expect(told.first).to_be_visible()


def test_what_is_not_possible_is_shown_with_the_reason(
    screen: Screen, api: Api, tag: str
) -> None:
    screen.image(filled(api, tag, protected=True))

    expect(screen.page.get_by_role("link", name="Delete", exact=True)).to_have_count(0)
    screen.page.get_by_text("More", exact=True).click()
    expect(screen.page.get_by_text("The image is protected.")).to_be_visible()


def test_a_forged_post_is_refused(screen: Screen, api: Api, tag: str) -> None:
    image_id = filled(api, tag)

    answer = screen.context.request.post(
        f"{LIST}{image_id}/move/delete/", form={"reason": "forged"}
    )

    assert answer.status == 403
    assert api.image(image_id)["status"] == "active"


# Many at once


def test_an_action_on_many_reports_mixed_results(
    screen: Screen, api: Api, tag: str
) -> None:
    for number in range(3):
        filled(api, tag, name=f"nightly-{number}")
    filled(api, tag, name="release", protected=True)
    page = screen.page
    page.goto(f"{LIST}?tag={tag}")
    page.get_by_label("Select all objects on this page for an action").check()
    page.get_by_label("Action:").select_option("Delete")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_label("Reason")).to_be_focused()
    warning = page.get_by_text("3 images will change, 1 will be refused.")
    expect(warning).to_be_in_viewport()
    screen.shoot("confirm-many")
    page.get_by_label("Reason").fill("superseded")
    page.get_by_role("button", name="Delete (3)").click()

    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Delete: 3 changed, 1 refused")
    expect(page.get_by_text("is protected and cannot be deleted")).to_be_visible()
    screen.shoot("report")
    page.reload()
    expect(heading).to_have_text("Delete: 3 changed, 1 refused")
    page.goto(LIST)
    page.go_back()
    expect(heading).to_have_text("Delete: 3 changed, 1 refused")


def test_all_that_match_are_restored_from_the_trash(
    screen: Screen, api: Api, tag: str
) -> None:
    for number in range(55):  # more than a page
        filled(api, tag, size=16, name=f"old-{number}")
    page = screen.page
    page.goto(f"{LIST}?tag={tag}")
    page.get_by_label("Select all objects on this page for an action").check()
    page.get_by_role("button", name="Select all 55 images").click()
    page.get_by_label("Action:").select_option("Delete")
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill("a mistake")
    page.get_by_role("button", name="Delete (55)").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "55 changed, 0 refused"
    )

    page.goto(f"{LIST}?view=trash&tag={tag}")
    expect(page.get_by_role("status")).to_have_text("55 images")
    screen.shoot("trash")
    page.get_by_label("Select all objects on this page for an action").check()
    page.get_by_role("button", name="Select all 55 images").click()
    page.get_by_label("Action:").select_option("Restore")
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill("needed after all")
    page.get_by_role("button", name="Restore (55)").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "55 changed, 0 refused"
    )
    assert len(api.get(f"images?tag={tag}&limit=100").json()["images"]) == 55


# The list


def test_the_key_slash_leads_to_the_search_of_the_whole_catalogue(
    screen: Screen, api: Api, tag: str
) -> None:
    filled(api, tag, name="debian-13", os_distro="debian")
    page = screen.page
    page.goto(ACTIVITY)
    expect(page.get_by_role("cell", name="Data received").first).to_be_visible()

    page.keyboard.press("/")
    page.keyboard.type(f"DEBIAN {tag}")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="debian-13").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("debian-13")


def test_views_filters_and_search(screen: Screen, api: Api, tag: str) -> None:
    filled(api, tag, name="ubuntu-24.04", os_distro="ubuntu")
    filled(api, tag, name="debian-13", os_distro="debian")
    api.new(name="reserved", tags=[tag])
    page = screen.page
    said = page.get_by_role("status")
    page.goto(LIST)

    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Tag", exact=True).fill(tag)
    page.get_by_role("button", name="Apply").click()
    expect(said).to_have_text("3 images")
    screen.shoot("list-filtered")

    page.get_by_label("Property").fill("os_distro=debian")
    page.get_by_role("button", name="Apply").click()
    expect(said).to_have_text("1 image")

    page.get_by_role("link", name="Property: os_distro=debian").click()
    page.get_by_label("Search", exact=True).fill("UBUNTU")
    page.get_by_role("button", name="Search").click()
    expect(said).to_have_text("1 image")
    expect(page.get_by_role("link", name="ubuntu-24.04")).to_be_visible()

    page.goto(f"{LIST}?view=without-data&tag={tag}")
    expect(said).to_have_text("1 image")
    expect(page.get_by_role("link", name="reserved")).to_be_visible()


def test_a_list_follows_what_happens(screen: Screen, api: Api, tag: str) -> None:
    image_id = filled(api, tag)
    screen.page.goto(f"{LIST}?tag={tag}")
    badge = screen.page.locator(f'[data-image="{image_id}"] .badge')
    expect(badge).to_have_text("Active")

    api.post(f"images/{image_id}/actions/deactivate")

    expect(badge).to_have_text("Deactivated", timeout=20_000)


# One image


def test_a_page_says_that_it_is_no_longer_updated(screen: Screen) -> None:
    page = screen.page
    page.goto(LIST)
    screen.context.clear_cookies(name="sessionid")

    notice = page.get_by_text("You are signed out, so this page is no longer updated.")
    expect(notice).to_be_visible()
    screen.shoot("signed-out")
    sign_in = page.get_by_role("link", name="Sign in").get_attribute("href")
    assert sign_in == f"{SIGN_IN}?next=%2Fadmin%2Fimages%2Fimage%2F"


def test_properties_and_tags_are_edited(screen: Screen, api: Api, tag: str) -> None:
    image_id = filled(api, tag, name="before", os_type="linux")
    screen.image(image_id)
    page = screen.page
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Name:", exact=True).fill("after")
    page.get_by_label("Tags:").fill(f"{tag}\nstable")
    page.get_by_label("value of os_type").fill("windows")
    page.get_by_label("name of a new property").first.fill("hw_cpu_cores")
    page.get_by_label("value of a new property").first.fill("two")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("enter a whole number")).to_be_visible()

    page.get_by_label("value of hw_cpu_cores").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The changes were saved.")).to_be_visible()

    image = api.image(image_id)
    assert (image["name"], image["os_type"], image["hw_cpu_cores"]) == (
        "after",
        "windows",
        "2",
    )
    assert image["tags"] == sorted([tag, "stable"])
    screen.shoot("image-active")


def test_a_page_follows_its_image_but_never_takes_a_form_away(
    screen: Screen, api: Api, tag: str
) -> None:
    image_id = filled(api, tag)
    screen.image(image_id)
    api.post(f"images/{image_id}/actions/deactivate")
    expect(screen.page.locator("h1 .badge")).to_have_text("Deactivated", timeout=20_000)

    screen.page.get_by_role("link", name="Edit", exact=True).click()
    screen.page.get_by_label("Name:", exact=True).fill("half written")
    api.post(f"images/{image_id}/actions/reactivate")

    note = screen.page.get_by_text("The image or one of its transfers has changed.")
    expect(note).to_be_visible(timeout=20_000)
    name = screen.page.get_by_label("Name:", exact=True)
    expect(name).to_have_value("half written")


def test_an_image_is_added_without_data(screen: Screen, api: Api, tag: str) -> None:
    page = screen.page
    page.goto(LIST)
    page.get_by_role("link", name="Add image").click()
    screen.shoot("add-image")
    page.get_by_role("link", name="Metadata only").click()
    page.get_by_label("Name:", exact=True).fill("reserved")
    page.get_by_label("Tags:").fill(tag)
    page.get_by_role("button", name="Create", exact=True).click()

    expect(page.get_by_text("The image was created.")).to_be_visible()
    assert api.get(f"images?tag={tag}").json()["images"][0]["name"] == "reserved"


def test_a_member_is_added_by_its_name_and_an_unknown_one_refused(
    screen: Screen, api: Api, tag: str
) -> None:
    screen.image(filled(api, tag))
    screen.page.get_by_role("link", name="Sharing").click()
    page, field = screen.page, screen.page.get_by_label("Share with project")
    field.fill("no-such-project")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("There is no project “no-such-project”.")).to_be_visible()

    field.fill("adm")
    expect(page.locator("datalist option[value=admin]")).to_have_count(1)
    field.fill("admin")
    page.get_by_role("button", name="Share").click()

    expect(page.get_by_text("Shared with project admin.")).to_be_visible()


def test_what_clients_need_is_there_to_be_copied(
    screen: Screen, service: Service
) -> None:
    screen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.page.locator("details.account summary").click()
    screen.page.get_by_role("link", name="Client configuration").click()
    screen.page.get_by_role("button", name="Copy openrc").click()

    expect(screen.page.get_by_role("button", name="Copy openrc")).to_have_text("✓")
    copied = screen.page.evaluate("navigator.clipboard.readText()")
    assert f"export OS_AUTH_URL={service.url}/identity/v3" in copied


# Everybody's way


def test_without_javascript_all_of_it_works(window: Open, api: Api, tag: str) -> None:
    image_id = filled(api, tag, name="plain")
    screen = window(java_script_enabled=False)
    page = screen.page
    page.goto(f"{LIST}?tag={tag}")
    page.get_by_role("link", name="plain").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Name:", exact=True).fill("plainer")
    page.get_by_role("button", name="Save").click()
    screen.move("Deactivate", "without scripts")

    image = api.image(image_id)
    assert (image["name"], image["status"]) == ("plainer", "deactivated")


SIZES = {
    "desktop": {"width": 1440, "height": 900},
    "phone": {"width": 390, "height": 844},
    "small": {"width": 320, "height": 640},
}
# `make test` tries each page in one of two looks, `make test-long` all pages in all six.
LOOKS = [
    pytest.param("light", "desktop", slice(0, None, 2), id="light-desktop-half"),
    pytest.param("dark", "phone", slice(1, None, 2), id="dark-phone-half"),
    *(
        pytest.param(*look, slice(None), marks=pytest.mark.long, id="-".join(look))
        for look in product(("light", "dark"), SIZES)
    ),
]


def bulk_pages(page: Page, tag: str) -> dict[str, str]:
    """The paths of the preview of a deletion of these images, of an edit, and of a report."""
    paths = {}
    for name, action in (("bulk", "Delete"), ("bulk-edit", "Edit"), ("report", "Edit")):
        page.goto(f"{LIST}?tag={tag}")
        page.get_by_label("Select all objects on this page for an action").check()
        page.get_by_label("Action:").select_option(action)
        page.get_by_role("button", name="Go").click()
        page.wait_for_url(re.compile("/bulk/"))
        paths[name] = page.url.partition("/admin/")[2]
    page.get_by_label("Add tags").fill("seen")
    page.get_by_role("button", name="Preview").click()
    page.get_by_label("Reason").fill("shown in a report")
    page.get_by_role("button", name="Edit (").click()
    page.wait_for_load_state()
    return {name: f"/admin/{path}" for name, path in paths.items()}


def project_page(page: Page) -> str:
    """The path of the page of the project of the admin."""
    page.goto("/admin/identity/project/")
    path = page.locator("#result_list a", has_text="admin").get_attribute("href")
    assert path
    return path


def screens(service: Service, api: Api, page: Page, tag: str) -> dict[str, str]:
    """The path of every screen, by its name."""
    image_id = filled(api, tag, name="debian-13-generic-amd64", os_distro="debian")
    api.post(f"images/{image_id}/members", json={"member": "friends"})
    queued = api.new(name="reserved", tags=[tag])
    deleted = filled(api, f"{tag}-old", name="superseded")
    api.delete(f"images/{deleted}")
    versions = family(service, tag, filled(api, tag), filled(api, tag))
    own = f"{LIST}{image_id}"
    return {
        "front": FRONT,
        "activity": ACTIVITY,
        "search": SEARCH,
        "list": f"{LIST}?tag={tag}",
        "filtered": f"{LIST}?tag={tag}&property=os_distro%3Ddebian&q=debian",
        "invalid-filter": f"{LIST}?size_min=ten&view=nosuch",
        "empty": f"{LIST}?q=nothing-has-this-name",
        "stuck": f"{LIST}?view=stuck",
        "failed-today": f"{LIST}?view=failed-today",
        "trash": f"{LIST}?view=trash&tag={tag}-old",
        "image": f"{own}/change/",
        "image-queued": f"{LIST}{queued}/change/",
        "image-deleted": f"{LIST}{deleted}/change/",
        **{tab: f"{own}/{tab}/" for tab in TABS},
        "confirm": f"{own}/move/delete/",
        "add": f"{LIST}add/",
        **{f"add-by-{it}": f"{LIST}add/{it}/" for it in ("file", "url", "location")},
        "add-metadata": f"{LIST}add/metadata/",
        "add-location": f"{own}/locations/add/",
        "upload": f"{LIST}{queued}/upload/",
        "import": f"{LIST}{queued}/import/",
        "families": FAMILIES,
        "family": f"{versions}change/",
        "add-family": f"{FAMILIES}add/",
        "promote": f"{versions}promote/version/2/",
        **policy(service, page, tag),
        **bulk_pages(page, tag),
        **PEOPLE,
        **DJANGO,
        "transfers": "/admin/images/transfer/",
        "failed-transfers": "/admin/images/transfer/?status=failed",
        "jobs": "/admin/images/job/",
        "projects": "/admin/identity/project/",
        "project": project_page(page),
        "add-project": "/admin/identity/project/add/",
        "add-user": "/admin/auth/user/add/",
        "groups": "/admin/auth/group/",
        "credentials": "/admin/identity/applicationcredential/",
        "limits": "/admin/images/quotalimit/",
        "namespaces": "/admin/images/metadefnamespace/",
        "not-found": f"{LIST}00000000-0000-0000-0000-000000000000/change/",
        "malformed": f"{LIST}?q=%00",
        "api": "/docs",
    }


@pytest.mark.parametrize(("scheme", "size", "part"), LOOKS)
def test_every_page_fits_and_is_accessible(
    window: Open,
    service: Service,
    api: Api,
    tag: str,
    scheme: str,
    size: str,
    part: slice,
) -> None:
    options = {"color_scheme": scheme, "viewport": SIZES[size]}
    screen = window(bypass_csp=True, **options)  # axe tries styles of its own
    pages = screens(service, api, screen.page, tag)
    pictures = os.environ.get("SCREENS")  # of all pages, for people to look at

    wrong, wide = {}, {}
    for page, path in [*pages.items()][part]:
        wrong[page] = serious(screen, path)
        if page in SHOWN or pictures:
            screen.shoot(f"{page}-{scheme}-{size}")
        wide[page] = wider(screen.page, SIZES[size]["width"])

    assert {page: found for page, found in wrong.items() if found} == {}
    assert {page: width for page, width in wide.items() if width} == {}


def wider(page: Page, width: int) -> list[int]:
    """The widths, this one and that of a small phone, that a page does not fit in."""
    wide = []
    for tried in {width, 320}:
        page.set_viewport_size({"width": tried, "height": 640})
        if page.evaluate("document.documentElement.scrollWidth") > tried:
            wide.append(tried)
    page.set_viewport_size({"width": width, "height": 900})
    return wide


@pytest.mark.parametrize("view", ["", "trash"])
def test_a_list_fits_on_a_small_laptop(
    window: Open, api: Api, tag: str, view: str
) -> None:
    image_id = filled(api, tag, name="debian-13-generic-amd64")
    if view == "trash":
        api.delete(f"images/{image_id}")
    page = window(viewport={"width": 1280, "height": 800}).page

    page.goto(f"{LIST}?tag={tag}" + (f"&view={view}" if view else ""))

    hidden = "it => it.scrollWidth - it.clientWidth"
    assert page.locator("#changelist .results").evaluate(hidden) == 0


def test_a_phone_shows_what_was_found_first(window: Open, api: Api, tag: str) -> None:
    filled(api, tag, name="debian-13")
    page = window(viewport=SIZES["phone"]).page

    page.goto(f"{LIST}?view=trash&tag={tag}")
    expect(page.locator(".tabs [aria-current]")).to_be_in_viewport()
    expect(page.get_by_label("Tag", exact=True)).to_be_hidden()
    page.goto(f"{LIST}?size_min=ten")
    expect(page.get_by_text("is not a size")).to_be_visible()


def test_the_sign_in_is_accessible(window: Open) -> None:
    for scheme in ("light", "dark"):
        screen = window(signed_in=False, bypass_csp=True, color_scheme=scheme)

        assert serious(screen, SIGN_IN) == []
        assert wider(screen.page, 390) == []


def serious(screen: Screen, path: str) -> list[str]:
    """Return the serious and critical violations that axe-core finds on a page."""
    screen.page.goto(path)
    found = Axe().run(screen.page, options=AXE).response["violations"]
    screen.complaints.clear()  # about what axe itself has tried to load
    return [
        f"{it['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for it in found
        if it["impact"] in ("serious", "critical")
        for node in it["nodes"]
    ]


def test_times_are_those_of_the_reader_and_of_utc_on_demand(window: Open) -> None:
    page = window(timezone_id="Asia/Kolkata").page  # without daylight saving time
    page.goto(FRONT)
    at = page.locator("time").first

    expect(at).to_contain_text("IST")
    expect(at).to_have_attribute("title", re.compile(" IST = .* UTC$"))
    page.get_by_role("button", name="Show UTC").click()

    expect(at).to_contain_text("UTC")
    page.get_by_role("button", name="Show local time").click()
    expect(at).to_contain_text("IST")


def test_the_theme_can_be_switched_by_hand(screen: Screen) -> None:
    page = screen.page
    page.goto(FRONT)
    toggle = page.get_by_role("button", name=re.compile("Toggle theme"))
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(3):
        toggle.first.click()
        if page.locator("html").get_attribute("data-theme") == "dark":
            break

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
