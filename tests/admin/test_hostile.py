"""Hostile texts in every parameter, form and name of the admin: no failure, no markup of strangers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from html import unescape
from io import StringIO
from itertools import cycle
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from images.models import Event, Image, Member
from tests.admin.conftest import LIST
from tests.admin.urls import Url, every, fill
from tests.hostile import FORMULAS, MARKUP, TEXTS, unescaped

# Parameters of the pages, which no form shows.
PARAMETERS = (
    *("q", "p", "o", "view", "tag", "property", "owner", "status", "size_min", "bulk"),
    *(
        "created_from",
        "sort",
        "e",
        "ids",
        "before",
        "at",
        "_changelist_filters",
        "term",
    ),
    *("actor", "project", "interface", "since", "until", "verb", "result", "after"),
    *("next", "transfer", "transfers", "kind__exact", "id__exact", "user", "store"),
    *("app_label", "model_name", "field_name", "name", "_popup", "_to_field"),
)
# Signing out would end the test, and the guess is by the first bytes of a file.
LEFT_OUT = {"admin:logout", "admin:login"}


@pytest.fixture
def urls(root: Client, make_image: Any) -> list[Url]:
    """The URLs of the admin, of an image whose names and values are markup."""
    first, second, third, *_ = MARKUP
    image = make_image(
        "active", name=first, tags=[second, third], properties={third: first, "a": "=1"}
    )
    Member.objects.create(image=image, member=second)
    Event.objects.create(
        image=image, verb=third, actor=first, interface="api", reason=second,
        project=third, detail={first: [second, third], "damage": first, "store": third},
    )  # fmt: skip
    image.transfers.create(
        kind="copy", status="failed", store="local", key="k", source=f"http://x/{first}",
        error=second, error_code=third, request_id=first,
    )  # fmt: skip
    keys = fill(User.objects.get(username="root"), image)
    return [url for url in every(keys) if url.name not in LEFT_OUT]


def fields(page: str) -> list[str]:
    """The names of the fields of all forms on a page."""
    return sorted({unescape(name) for name in re.findall(r'\sname="([^"]+)"', page)})


def content(response: Any) -> str:
    streamed = b"".join(response.streaming_content) if response.streaming else b""
    return (streamed or response.content).decode(errors="replace")


def is_page(response: Any) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("text/html")


def answers(client: Client, url: Url, text: str) -> Iterator[tuple[str, Any]]:
    """Yield the responses of a URL to a query and to a form of hostile texts."""
    yield "GET", client.get(url.path, dict.fromkeys(PARAMETERS, text))
    yield "GET q", client.get(url.path, {"q": text})
    names = fields(content(client.get(url.path)))
    form = dict.fromkeys({*names, "reason", "name", "query", "project"}, text)
    form.pop("csrfmiddlewaretoken", None)
    yield "POST", client.post(url.path, form)


@pytest.mark.once
@pytest.mark.slow
def test_no_page_fails_of_a_hostile_text_or_shows_its_markup(
    root: Client, urls: list[Url]
) -> None:
    root.raise_request_exception = False
    texts = cycle(text for text in TEXTS if text != "\ud800")  # no client encodes it
    wrong = []
    for url in urls:
        with transaction.atomic():
            for asked, response in answers(root, url, next(texts)):
                found = unescaped(content(response)) if is_page(response) else []
                if response.status_code >= 500 or found:
                    wrong.append((asked, url.label, response.status_code, found))
            transaction.set_rollback(True)

    assert wrong == []


@pytest.mark.parametrize("path", [f"{LIST}export/csv/", "/admin/activity/?format=csv"])
def test_an_export_has_no_formula(root: Client, make_image: Any, path: str) -> None:
    """Spreadsheets calculate what begins with one of these characters."""
    for formula in FORMULAS:
        image: Image = make_image("active", name=formula, tags=[formula])
        Event.objects.create(
            image=image, verb="update", actor=formula, reason=formula, interface="api"
        )

    text = content(root.get(path))

    cells = [cell for row in csv.reader(StringIO(text)) for cell in row]
    assert "'=1+2" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))] == []
