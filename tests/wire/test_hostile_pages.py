"""Hostile texts on the pages of the admin in a real browser: nothing of them runs there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import cycle, islice
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Dialog, Error

from tests.hostile import MARK, MARKUP, texts, unescaped
from tests.servers import Service
from tests.wire.api import Api, CatalogApi
from tests.wire.browser import FRONT, LIST, Screen

pytestmark = pytest.mark.slow
# Pages with a query, by its parameter.
QUERIES = {
    "q": (
        *(LIST, "/admin/search/", "/admin/images/transfer/", "/admin/images/job/"),
        *("/admin/auth/user/", "/admin/identity/project/", "/admin/images/family/"),
        *("/admin/identity/signinevent/", "/admin/images/quotalimit/"),
        *("/admin/images/metadefnamespace/", "/admin/auth/group/"),
        "/admin/identity/applicationcredential/",
    ),
    "view": (LIST,),
    "tag": (LIST,),
    "property": (LIST,),
    "owner": (LIST,),
    "size_min": (LIST,),
    "bulk": (LIST,),
    "o": (LIST,),
    "_changelist_filters": (),  # of the page of the image
    "actor": ("/admin/activity/",),
    "project": ("/admin/activity/", "/admin/identity/project/usage/"),
    "interface": ("/admin/activity/",),
    "since": ("/admin/activity/",),
    "user": ("/admin/identity/signinevent/",),
    "next": ("/admin/login/",),
    "transfers": (),
}
# Forms, and their text fields.
FORMS = {
    f"{LIST}add/metadata/": (
        "name",
        "tags",
        "property_name",
        "property_value",
        "owner",
    ),
    f"{LIST}add/url/": ("name", "url", "checksum_url"),
    f"{LIST}add/location/": ("name", "url"),
    f"{LIST}saved/": ("name", "query", "remove"),
    f"{LIST}options/": ("column", "page_size", "query"),
    "/admin/identity/project/add/": ("name", "description"),
    "/admin/auth/user/add/": ("username", "email", "first_name"),
    "/admin/auth/group/add/": ("name",),
    "/admin/images/family/add/": ("name", "owner", "template", "title"),
    "/admin/images/retentionpolicy/add/": ("name", "scope", "select", "schedule"),
    "/admin/images/metadefnamespace/add/": ("namespace", "content"),
    "/admin/images/quotalimit/add/": ("project", "name", "value"),
    "/admin/identity/applicationcredential/add/": ("name", "user", "project"),
}
OF_IMAGE = ("edit", "members/add", "move/deactivate", "import", "locations/add")
FIELDS_OF_IMAGE = ("name", "tags", "property_name", "property_value", "project")
FIELDS_OF_IMAGE += ("reason", "url", "owner")


def urls(image_id: str) -> Iterator[tuple[str, str]]:
    """Yield (path, parameter) of each page and query parameter, again and again."""
    page = f"{LIST}{image_id}/change/"
    found = [(path, name) for name, paths in QUERIES.items() for path in paths]
    found += [(page, name) for name in ("_changelist_filters", "at", "transfers")]
    return cycle([*found, ("/admin/images/image/{}/change/", ""), ("/admin/{}/", "")])


def forms(image_id: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    own = {f"{LIST}{image_id}/{it}/": FIELDS_OF_IMAGE for it in OF_IMAGE}
    return cycle({**FORMS, **own}.items())


class Watched:
    """A window that keeps what must never happen in it."""

    def __init__(self, browser: Browser, service: Service) -> None:
        self.screen = Screen(browser, service)
        self.found: list[str] = []
        page = self.screen.page
        page.on("dialog", self._asked)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        self.screen.context.expose_function(MARK, lambda: self.found.append("it ran"))
        self.screen.sign_in()

    def _asked(self, dialog: Dialog) -> None:
        # Browsers drop line breaks from fields, so that a form can seem to be changed.
        if dialog.type != "beforeunload":
            self.found.append(f"dialog: {dialog.message}")
        dialog.accept()

    def open(self, url: str) -> None:
        """Open a page, and use what scripts of it could wait for."""
        page = self.screen.page
        try:
            answer = page.goto(url)
        except Error:  # the page before has reloaded just now
            answer = page.goto(url)
        if answer is not None and answer.status >= 500:
            self.found.append(f"{answer.status}: {url[:200]}")
        page.mouse.move(300, 300)
        page.keyboard.press("Tab")

    def violations(self) -> list[str]:
        """The complaints in the browser's console, but for refused pages and values of fields."""
        expected = re.compile("status of 4[0-9][0-9]|does not conform to the required")
        return [it for it in self.screen.complaints if not expected.search(it)]


def query(text: str) -> str:
    """Return a text as a part of a URL, also one that is not valid Unicode."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def session(screen: Screen) -> requests.Session:
    """A session that sends the cookies of a window."""
    found = requests.Session()
    found.trust_env = False
    for cookie in screen.context.cookies():
        found.cookies.set(cookie["name"], cookie["value"])
    token = found.cookies.get("csrftoken") or ""
    found.headers.update({"X-CSRFToken": token, "Referer": screen.service.url})
    return found


def stored(service: Service, text: str) -> str | None:
    """Create an image with a hostile name, tag and property; return its id, None if it is refused."""
    fields = {"name": text[:255], "tags": [text[:255]], text[:255] or "p": text[:255]}
    fields |= {"disk_format": "raw", "container_format": "bare"}
    body = json.dumps(fields).encode()
    with Api(service) as api:
        headers = {"Content-Type": "application/json"}
        answer = api.post("images", data=body, headers=headers)
        assert answer.status_code < 500, (text, answer.text)
        if answer.status_code != 201:
            return None
        image_id = str(answer.json()["id"])
        api.upload(image_id, b"data")
        reason = {"X-Reason": query(text)[:200]}
        api.post(f"images/{image_id}/actions/deactivate", headers=reason)
        api.post(f"images/{image_id}/members", json={"member": query(text)[:200]})
    return image_id


def try_texts(browser: Browser, service: Service, count: int, stores: int) -> list[str]:
    """Send as many hostile texts; every ``stores``-th is stored, too. Return what was wrong."""
    with Api(service) as api, CatalogApi(service) as catalog:
        image_id = api.new(name=MARKUP[1], tags=[MARKUP[2]])
        catalog.post(
            "families", json={"name": f"f-{uuid4().hex[:8]}", "title": MARKUP[0]}
        )
    watched = Watched(browser, service)
    client, wrong = session(watched.screen), watched.found
    pages, posts = urls(image_id), forms(image_id)
    for number, text in enumerate(texts(count)):
        for path, name in islice(pages, 2):
            url = f"{path}?{name}={query(text)}" if name else path.format(query(text))
            watched.open(url)
        path, names = next(posts)
        form = urlencode(
            [(name, text.encode("utf-8", "surrogatepass")) for name in names]
        )
        answer = client.post(
            service.url + path,
            data=form,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=60,
        )
        if answer.status_code >= 500 or unescaped(answer.text):
            wrong.append(f"{answer.status_code}: POST {path} {text[:80]!r}")
        if number % stores == 0 and (own := stored(service, text)):
            for tab in ("change", "properties", "sharing", "history", "edit", "upload"):
                watched.open(f"{LIST}{own}/{tab}/")
            watched.open(f"{LIST}{own}/move/delete/")
    for path in (FRONT, LIST, "/admin/activity/", "/admin/images/family/"):
        watched.open(path)
    found = [*wrong, *watched.violations()]
    watched.screen.context.close()
    return found


def test_nothing_of_a_hostile_text_runs(browser: Browser, service: Service) -> None:
    assert try_texts(browser, service, len(MARKUP), stores=6) == []


@pytest.mark.long
def test_nothing_of_a_thousand_hostile_texts_runs(
    browser: Browser, service: Service
) -> None:
    assert try_texts(browser, service, 1000, stores=10) == []
