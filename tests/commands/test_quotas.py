from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from imagecatalog.identity.models import Project
from images.transfers import limits

MIB = 1 << 20

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def project() -> Project:
    return Project.objects.create(id="p", name="people")


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("image_size_total", "500", 500),
        ("image_size_total", "2GB", 2048),
        ("image_size_total", "unlimited", -1),
        ("image_count_total", "12", 12),
    ],
)
def test_a_limit_is_set(name: str, text: str, value: int) -> None:
    assert run("quota_set", "p", name, text) == f"{name} of p: {text}\n"

    assert limits.own("p") == {name: value}
    assert run("quota_show") == f"p {name}: {value}\n"


def test_a_project_is_named_by_its_name_too() -> None:
    run("quota_set", "people", "image_count_total", "5")

    assert limits.own("p") == {"image_count_total": 5}
    assert "image_count_total: 0 of 5 (project)" in run("quota_show", "people")


def test_a_project_that_does_not_exist_is_refused() -> None:
    for words in (
        ("quota_set", "peple", "image_count_total", "5"),
        ("quota_show", "x"),
    ):
        with pytest.raises(CommandError, match="There is no project"):
            run(*words)

    assert limits.own("peple") == {}


def test_a_project_that_is_known_elsewhere_can_have_limits(
    make_image: Any, settings: Any
) -> None:
    make_image("active", owner="moved-here")
    run("quota_set", "moved-here", "image_count_total", "5")
    settings.IMAGECATALOG_AUTH = "keystone"
    run("quota_set", "of-keystone", "image_count_total", "6")

    assert limits.own("moved-here") == {"image_count_total": 5}
    assert limits.own("of-keystone") == {"image_count_total": 6}


def test_the_default_limit_is_set_again() -> None:
    run("quota_set", "p", "image_count_total", "5")
    run("quota_set", "p", "image_count_total", "default")

    assert limits.own("p") == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("image_size_total", "much"),
        ("image_size_total", "9" * 30),
        ("image_count_total", "2GB"),
        ("image_count_total", "1.5"),
    ],
)
def test_what_is_no_limit_is_refused(name: str, text: str) -> None:
    with pytest.raises(CommandError):
        run("quota_set", "p", name, text)

    assert limits.own("p") == {}


def test_a_project_is_shown_with_what_it_has(make_image: Any, settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 9
    run("quota_set", "p", "image_size_total", "50")
    make_image("active", size=3 * MIB, owner="p")

    assert run("quota_show", "p").splitlines() == [
        "image_size_total: 3 of 50 (project)",
        "image_stage_total: 0 of 50 (default)",
        "image_count_total: 1 of 9 (default)",
        "image_count_uploading: 0 of 1000 (default)",
    ]
