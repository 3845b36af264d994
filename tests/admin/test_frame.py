"""The frame of each page of the admin: name, logo, banner, menu, footer, and the zone of its times."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from imagecatalog import checks
from images.admin import formatting
from images.models import WorkerReport
from tests.admin.conftest import LIST

SYSTEM = "/admin/system/"


def text(client: Client, path: str = "/admin/") -> str:
    return client.get(path).content.decode()


def menu(client: Client, path: str = "/admin/") -> list[str]:
    found = re.search('<nav class="menu".*?</nav>', text(client, path), re.DOTALL)
    return re.findall(">([A-Z][a-z]+)</a>", found[0]) if found else []


def current(client: Client, path: str) -> list[str]:
    return re.findall('aria-current="true">([A-Z][a-z]+)</a>', text(client, path))


# Name, logo, banner


def test_the_name_is_that_of_the_setting(root: Client, settings: Any) -> None:
    settings.IMAGECATALOG_SITE_NAME = "Images of <Example>"

    page = text(root)

    assert "<title>Overview | Images of &lt;Example&gt;</title>" in page
    assert "<span>Images of &lt;Example&gt;</span>" in page


def test_a_banner_stands_above_each_page(client: Client, settings: Any) -> None:
    settings.IMAGECATALOG_SITE_BANNER = "Test <system>"

    assert "Test &lt;system&gt;" in text(client, "/admin/login/")


def test_the_logo_is_the_file_of_the_setting(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "logo.svg"
    file.write_text("<svg/>")
    settings.IMAGECATALOG_SITE_LOGO = str(file)

    page, logo = text(client, "/admin/login/"), client.get("/admin/logo")

    assert 'src="/admin/logo"' in page
    assert (logo["Content-Type"], logo.content) == ("image/svg+xml", b"<svg/>")
    assert checks.logo() == []


@pytest.mark.parametrize("name", ["logo.html", "absent.png", ""])
def test_no_other_file_is_a_logo(
    client: Client, settings: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "logo.html").write_text("<script>")
    settings.IMAGECATALOG_SITE_LOGO = str(tmp_path / name) if name else ""

    assert client.get("/admin/logo").status_code == 404
    assert len(checks.logo()) == (1 if name else 0)


# The menu


def test_the_menu_leads_to_what_operators_use(root: Client) -> None:
    assert menu(root) == [
        "Images",
        "Families",
        "Activity",
        "Projects",
        "Users",
        "System",
    ]


def test_the_menu_has_only_what_the_user_may_see(
    signed_in: Callable[..., Client], client: Client
) -> None:
    assert "Users" not in menu(signed_in("viewer"))
    assert menu(client, "/admin/login/") == []


@pytest.mark.parametrize(
    ("path", "title"),
    [
        (LIST, "Images"),
        ("/admin/auth/user/", "Users"),
        ("/admin/images/job/", "System"),
        (SYSTEM, "System"),
    ],
)
def test_the_menu_marks_the_entry_of_the_page(
    root: Client, path: str, title: str
) -> None:
    assert current(root, path) == [title]


def test_the_page_system_leads_to_everything_else(
    root: Client, signed_in: Callable[..., Client]
) -> None:
    page, of_viewer = text(root, SYSTEM), text(signed_in("viewer"), SYSTEM)

    for model in ("images/job", "auth/group", "images/quotalimit"):
        assert f'href="/admin/{model}/"' in page
    assert 'href="/admin/images/job/"' in of_viewer
    assert 'href="/admin/auth/group/"' not in of_viewer


def test_a_list_is_titled_by_what_it_has(root: Client) -> None:
    page = text(root, "/admin/auth/group/")

    assert "<h1>Groups</h1>" in page
    assert "Select group" not in page


# The footer


def test_the_footer_tells_version_and_workers(root: Client, settings: Any) -> None:
    assert "Background workers: none has reported" in text(root, SYSTEM)
    WorkerReport.objects.create(pk=1, reported_at=timezone.now())

    page = text(root, SYSTEM)

    assert "Background workers: running" in page
    assert f"Version {settings.IMAGECATALOG_VERSION}" in page


def test_who_is_not_signed_in_learns_no_version(client: Client, settings: Any) -> None:
    settings.IMAGECATALOG_VERSION = "1.2.3-secret"

    assert "1.2.3-secret" not in text(client, "/admin/login/")


# Times


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [
        ("America/New_York", "America/New_York"),
        ("", "UTC"),
        ("../../etc/passwd", "UTC"),
        ("America", "UTC"),  # a folder of the database of zones
    ],
)
def test_times_are_in_the_zone_that_the_browser_tells(
    root: Client, cookie: str, zone: str
) -> None:
    root.cookies["time_zone"] = cookie

    assert f'id="time-zone">{zone}<' in text(root, SYSTEM)
    assert timezone.get_current_timezone_name() == "UTC"  # of other requests


def test_the_times_of_djangos_own_pages_look_alike() -> None:
    at = datetime(2026, 11, 29, 13, 40, tzinfo=UTC)

    assert date_format(at, "DATETIME_FORMAT") == "2026-11-29 13:40 UTC"


def test_the_tooltip_of_a_time_has_utc() -> None:
    at = datetime(2026, 11, 29, 13, 40, tzinfo=UTC)

    with timezone.override("Europe/Berlin"):
        shown = formatting.exact(at)

    assert ">2026-11-29 14:40 CET</time>" in shown
    assert 'title="2026-11-29 14:40:00 CET = 2026-11-29 13:40:00 UTC"' in shown
