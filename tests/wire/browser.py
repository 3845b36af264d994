"""A real browser for the tests: the system's Chromium, in its headless mode.

Playwright runs an event loop in this thread while it lives; Django would refuse to use a
database meanwhile, so a browser lives for one module of tests and those use none.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.servers import ROOT, Missing, Service

SHOTS = ROOT / "var" / "test" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIGN_IN, FRONT, LIST = "/admin/login/", "/admin/", "/admin/images/image/"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises Missing where no Chromium is installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise Missing("Chromium is not installed (Debian's package is called chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


class Screen:
    """One window of a browser, on one service, with what its console complained about."""

    def __init__(self, browser: Browser, service: Service, **options: Any) -> None:
        options = {"viewport": {"width": 1360, "height": 900}} | options
        self.service, self.complaints = service, list[str]()
        self.context = browser.new_context(base_url=service.url, **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        # What the content security policy refuses is told here, too.
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def sign_in(self, name: str = "", password: str = "") -> None:
        self.page.goto(SIGN_IN)
        self.page.get_by_label("Username").fill(name or self.service.username)
        self.page.get_by_label("Password").fill(password or self.service.password)
        self.page.get_by_role("button", name="Log in").click()

    def shoot(self, name: str) -> Path:
        """A picture of the whole page, for people to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def image(self, image_id: str) -> None:
        """Open the page of an image."""
        self.page.goto(f"{LIST}{image_id}/change/")

    def move(self, label: str, reason: str) -> None:
        """By button, on the page of an image."""
        actions = self.page.get_by_role("navigation", name="Actions")
        actions.get_by_role("link", name=label, exact=True).click()
        self.page.get_by_label("Reason").fill(reason)
        self.page.get_by_role("button", name=label).click()

    def status(self) -> str:
        """As the heading of the page of an image says."""
        return self.page.locator("h1 .badge").inner_text()


@contextmanager
def signed_in(browser: Browser, service: Service, **options: Any) -> Iterator[Screen]:
    """A window, signed in; nothing may complain in it."""
    screen = Screen(browser, service, **options)
    screen.sign_in()
    yield screen
    screen.context.close()
    assert screen.complaints == []
