"""Uploads from a real browser: progress, a lost connection, a reload, byte for byte the same."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.servers import Service, wait_until
from tests.wire.api import Api
from tests.wire.browser import LIST, Screen
from tests.wire.line import Line

pytestmark = pytest.mark.slow
MIB = 1 << 20
LARGE = 150 * MIB  # more than two requests
NETWORK = re.compile("net::ERR_|Failed to load resource")  # what these tests are about


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as session:
        yield session


@pytest.fixture
def line(service: Service) -> Iterator[Line]:
    """Between the browser and the service; on loopback alone there would be nothing to see."""
    line = Line(service, rate=15 * MIB)
    yield line
    line.close()


@pytest.fixture
def screen(browser: Browser, service: Service, line: Line) -> Iterator[Screen]:
    screen = Screen(browser, replace(service, url=line.url))
    screen.page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
    screen.sign_in()
    yield screen
    complaints = [text for text in screen.complaints if not NETWORK.search(text)]
    screen.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of LARGE bytes."""
    path = tmp_path_factory.mktemp("files") / "debian-13-generic.raw"
    with path.open("wb") as file:
        for _ in range(LARGE // MIB):
            file.write(os.urandom(MIB))
    return path


@pytest.fixture
def two_chunks(tmp_path: Path) -> Path:
    """A file that takes two requests."""
    path = tmp_path / "two-chunks.raw"
    path.write_bytes(os.urandom(70 * MIB))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.raw"
    path.write_bytes(os.urandom(3 * MIB))
    return path


def choose(screen: Screen, path: Path) -> None:
    screen.page.get_by_label("File", exact=True).set_input_files(path)


def upload(screen: Screen, path: Path, button: str = "Upload") -> None:
    choose(screen, path)
    screen.page.get_by_role("button", name=button, exact=True).click()


def begin(screen: Screen, image_id: str, path: Path) -> None:
    """Choose a file for an image that exists, and begin its upload."""
    screen.page.goto(f"{LIST}{image_id}/upload/")
    upload(screen, path)


def begin_sending(screen: Screen, image_id: str, path: Path, at_least: int = 1) -> None:
    """Begin the upload of a file, and wait until the page has sent some percent of it."""
    begin(screen, image_id, path)
    wait_until(lambda: percent(screen) >= at_least, "the first bytes", 60)


def expect_digest(screen: Screen, image_id: str, text: str) -> None:
    """Open the upload page of an image, and enter the digest that its file must have."""
    screen.page.goto(f"{LIST}{image_id}/upload/")
    screen.page.get_by_label("Expected digest").fill(text)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def computed(screen: Screen, lengths: list[int]) -> list[str]:
    """The SHA-256 of files of these lengths, all of whose bytes are 7, as the page computes it."""
    return screen.page.evaluate(
        """async (lengths) => {
            const { fileSHA256 } = await import("/static/images/sha256.js");
            const part = new Uint8Array(2 ** 20).fill(7);
            const signal = new AbortController().signal;
            const digests = [];
            for (const length of lengths) {
                const whole = Array(Math.floor(length / part.length)).fill(part);
                const file = new Blob([...whole, part.subarray(0, length % part.length)]);
                digests.push(await fileSHA256(file, signal, () => {}));
            }
            return digests;
        }""",
        lengths,
    )


def percent(screen: Screen) -> int:
    """How much has been sent; 0 before, while the digest of the file is computed."""
    if screen.page.get_by_role("status").inner_text() != "Sending":
        return 0
    text = screen.page.locator("[data-show=percent]").inner_text()
    return int(text.rstrip("%") or 0)


def arrived(api: Api, image_id: str) -> int:
    uploads = api.get(f"images/{image_id}/uploads").json()["uploads"]
    return uploads[0]["offset"] if uploads else 0


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


def test_a_connection_that_falls_silent_counts_as_lost(
    screen: Screen, line: Line, api: Api, large: Path
) -> None:
    page, image_id = screen.page, api.new(name="silent")
    begin(screen, image_id, large)
    wait_until(lambda: percent(screen) >= 5, "some percent", 120)

    line.freeze()
    lost = page.get_by_role("status")
    expect(lost).to_contain_text("The connection is lost", timeout=60_000)
    stopped = arrived(api, image_id)
    line.cut()  # the old connection, so that the service lets another one send
    line.mend()

    wait_until(lambda: arrived(api, image_id) > stopped, "more", 120)


def test_a_large_file_survives_a_lost_connection_and_a_reload(
    screen: Screen, line: Line, api: Api, large: Path
) -> None:
    page = screen.page
    page.goto(f"{LIST}add/")
    page.get_by_role("link", name="From a file").click()
    choose(screen, large)
    # The form was filled from the file.
    expect(page.locator("[name=name]")).to_have_value("debian-13-generic")
    expect(page.locator("[name=disk_format]")).to_have_value("raw")
    expect(page.locator("[name=container_format]")).to_have_value("bare")
    screen.shoot("upload-before")
    page.get_by_role("button", name="Create and upload").click()
    page.wait_for_url(re.compile("/upload/$"))
    image_id = page.url.split("/")[-3]
    expect(page.locator("h1")).to_have_text("debian-13-generic Uploading")
    wait_until(lambda: percent(screen) >= 10, "the first tenth", 120)
    expect(page.locator("[data-show=speed]")).to_have_text(re.compile(r"iB/s$"))
    screen.shoot("upload-under-way")

    line.cut()
    lost = page.get_by_role("status")
    expect(lost).to_contain_text("The connection is lost", timeout=60_000)
    screen.shoot("upload-offline")
    stopped = arrived(api, image_id)
    line.mend()
    wait_until(lambda: arrived(api, image_id) > max(stopped, 64 * MIB), "more", 120)

    page.reload()
    before = arrived(api, image_id)
    assert before > 64 * MIB
    expect(page.get_by_text("has stopped")).to_contain_text(large.name)
    screen.shoot("upload-after-reload")
    upload(screen, large, "Resume")
    wait_until(lambda: percent(screen) > 0, "the rest", 120)
    assert percent(screen) >= 100 * before // LARGE

    page.wait_for_url(re.compile("/change/$"), timeout=180_000)
    expect(page.locator("h1 .badge")).to_have_text("Active", timeout=60_000)
    screen.shoot("upload-done")
    image = api.image(image_id)
    assert image["size"] == LARGE
    assert image["os_hash_value"] == digest(large)


def test_a_paused_upload_goes_on_and_a_cancelled_one_leaves_nothing(
    screen: Screen, api: Api, large: Path, service: Service
) -> None:
    page, image_id = screen.page, api.new(name="paused")
    begin_sending(screen, image_id, large, at_least=3)

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Paused")
    wait_until(lambda: arrived(api, image_id) > 0, "what had arrived")
    kept = arrived(api, image_id)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: percent(screen) > 100 * kept // LARGE, "more", 60)

    page.get_by_role("button", name="Cancel upload").click()
    page.wait_for_url(re.compile("/change/$"))
    expect(page.locator("h1 .badge")).to_have_text("Queued")
    folder = service.data_dir / "images"
    wait_until(lambda: not list(folder.rglob(f"*{image_id}*")), "the end of its bytes")


def test_an_upload_goes_on_after_the_user_has_signed_in_again(
    screen: Screen, api: Api, two_chunks: Path
) -> None:
    page, image_id = screen.page, api.new(name="session")
    begin_sending(screen, image_id, two_chunks)

    screen.context.clear_cookies(name="sessionid")
    link = page.get_by_role("link", name="Sign in in a new tab")
    expect(link).to_be_visible(timeout=60_000)
    screen.shoot("upload-session")
    with screen.context.expect_page() as opened:
        link.click()
    tab = opened.value
    tab.get_by_label("Username").fill(screen.service.username)
    tab.get_by_label("Password").fill(screen.service.password)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("heading", name="session")).to_be_visible()
    tab.close()

    expect(link).to_be_hidden(timeout=60_000)
    page.wait_for_url(re.compile("/change/$"), timeout=180_000)
    assert api.image(image_id)["os_hash_value"] == digest(two_chunks)


def test_another_tab_tells_the_truth_about_an_upload(
    screen: Screen, api: Api, large: Path
) -> None:
    page, image_id = screen.page, api.new(name="tabs")
    begin_sending(screen, image_id, large)
    tab = screen.context.new_page()
    tab.goto(f"{LIST}{image_id}/upload/")

    expect(tab.get_by_text("is being uploaded, in another tab")).to_be_visible()
    expect(tab.get_by_role("button", name="Resume")).to_be_hidden()

    page.get_by_role("button", name="Pause").click()
    expect(tab.get_by_text("has stopped")).to_be_visible()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Cancel upload").click()
    expect(tab.get_by_text("The file is uploaded unchanged")).to_be_visible()


def test_a_file_is_dropped_on_the_form_that_shows_its_errors(
    screen: Screen, api: Api, small: Path
) -> None:
    page = screen.page
    page.goto(f"{LIST}add/file/")
    page.locator("[name=disk_format]").select_option("qcow2")
    page.evaluate(
        """() => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(4096)], "dropped.raw"));
            const options = { dataTransfer: files, bubbles: true, cancelable: true };
            const area = document.querySelector(".upload-drop");
            area.dispatchEvent(new DragEvent("drop", options));
        }"""
    )
    expect(page.locator("[name=name]")).to_have_value("dropped")
    page.locator("[name=min_disk]").fill("-3")

    page.get_by_role("button", name="Create and upload").click()
    expect(page.get_by_text("No image was created.")).to_be_visible()
    screen.shoot("upload-form-errors")

    page.locator("[name=min_disk]").fill("1")
    page.get_by_role("button", name="Create and upload").click()
    page.wait_for_url(re.compile("/upload/$"))
    expect(page.get_by_role("status")).to_contain_text("qcow2")
    assert api.image(page.url.split("/")[-3])["status"] == "queued"


def test_another_file_is_not_taken_for_the_one_that_stopped(
    screen: Screen, api: Api, large: Path, small: Path
) -> None:
    page, image_id = screen.page, api.new()
    begin_sending(screen, image_id, large)
    page.reload()

    choose(screen, small)

    expect(page.get_by_role("status")).to_contain_text("This is another file")
    expect(page.get_by_role("button", name="Resume")).to_be_disabled()
    page.get_by_role("button", name="Cancel upload").click()
    page.wait_for_url(re.compile("/change/$"))


def test_a_file_that_is_refused_says_why(screen: Screen, api: Api, small: Path) -> None:
    page, image_id = screen.page, api.new(disk_format="qcow2", name="no-qcow2")
    begin(screen, image_id, small)

    expect(page.get_by_role("status")).to_contain_text("qcow2")
    screen.shoot("upload-refused")
    assert api.image(image_id)["status"] == "queued"


def assert_is_computed(screen: Screen, api: Api, lengths: list[int]) -> None:
    screen.page.goto(f"{LIST}{api.new()}/upload/")
    right = [hashlib.sha256(bytes([7]) * length).hexdigest() for length in lengths]
    assert computed(screen, lengths) == right


def test_the_page_computes_the_digest_of_files_of_any_length(
    screen: Screen, api: Api
) -> None:
    of_blocks = [1, 55, 56, 63, 64, 65, 119, 120, 121]
    assert_is_computed(screen, api, [*of_blocks, MIB - 1, MIB, MIB + 1, 3 * MIB + 57])


@pytest.mark.long
def test_the_page_computes_the_digest_of_a_file_with_more_than_32_bits_of_bits(
    screen: Screen, api: Api
) -> None:
    assert_is_computed(screen, api, [513 * MIB])


def test_a_file_with_the_expected_digest_is_uploaded(
    screen: Screen, service: Service, api: Api, small: Path
) -> None:
    image_id = api.new(name="expected")
    expect_digest(screen, image_id, f"{sha256(small)} *{small.name}")

    upload(screen, small)

    screen.page.wait_for_url(re.compile("/change/$"), timeout=60_000)
    url = f"{service.url}/catalog/v1/images/{image_id}/digests"
    report = requests.get(url, auth=service.auth, timeout=60).json()
    assert report["digests"]["sha256"] == sha256(small)
    assert report["verified_by"] == "repr-digest"


def test_a_file_without_the_expected_digest_is_not_sent(
    screen: Screen, api: Api, small: Path
) -> None:
    image_id = api.new(name="another")
    expect_digest(screen, image_id, f"SHA256 (small.raw) = {'ab' * 32}")

    upload(screen, small)

    status = screen.page.get_by_role("status")
    expect(status).to_contain_text("does not have the expected digest")
    expect(screen.page.get_by_text(sha256(small))).to_be_visible()
    screen.shoot("upload-digest")
    assert api.image(image_id)["status"] == "queued"


def test_a_text_that_is_no_digest_is_refused(
    screen: Screen, api: Api, small: Path
) -> None:
    expect_digest(screen, api.new(), "d41d8cd98f00b204e9800998ecf8427e")

    upload(screen, small)

    status = screen.page.get_by_role("status")
    expect(status).to_contain_text("This is not a digest")


def test_the_service_compares_an_expected_sha_512(
    screen: Screen, api: Api, small: Path
) -> None:
    image_id = api.new(name="sha-512")
    expect_digest(screen, image_id, "AB" * 64)

    upload(screen, small)

    status = screen.page.get_by_role("status")
    expect(status).to_contain_text("Digest mismatch: sha-512", timeout=60_000)
    assert api.image(image_id)["status"] == "queued"


def test_an_upload_resumes_with_a_file_of_the_same_content_only(
    screen: Screen, api: Api, small: Path, tmp_path: Path
) -> None:
    image_id = api.new(name="resumed")
    stated = b64encode(hashlib.sha256(small.read_bytes()).digest()).decode()
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(small.stat().st_size),
        "Upload-Metadata": f"filename {b64encode(small.name.encode()).decode()}",
        "Repr-Digest": f"sha-256=:{stated}:",
    }
    assert api.post(f"images/{image_id}/uploads", headers=headers).status_code == 201
    changed = tmp_path / "changed" / small.name
    changed.parent.mkdir()
    changed.write_bytes(os.urandom(small.stat().st_size))
    screen.page.goto(f"{LIST}{image_id}/upload/")

    upload(screen, changed, "Resume")
    status = screen.page.get_by_role("status")
    expect(status).to_contain_text("This is another file")
    assert arrived(api, image_id) == 0

    upload(screen, small, "Resume")
    screen.page.wait_for_url(re.compile("/change/$"), timeout=60_000)
    assert api.data(image_id) == small.read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(
    browser: Browser, service: Service, api: Api, scheme: str
) -> None:
    screen = Screen(
        browser, service, color_scheme=scheme, viewport={"width": 390, "height": 800}
    )
    screen.sign_in()
    screen.page.goto(f"{LIST}{api.new(name='phone')}/upload/")

    found = Axe().run(screen.page).response["violations"]

    screen.shoot(f"upload-phone-{scheme}")
    screen.context.close()
    serious = [it for it in found if it["impact"] in ("serious", "critical")]
    assert serious == []
