"""The commands of families."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from imagecatalog.identity.models import Project
from images.models import Family, FamilyEvent, Image

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def project() -> Project:
    return Project.objects.create(id="project-a", name="people")


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def create(*words: str) -> str:
    project, arch = ("--project", "people"), ("--arch", "x86_64")
    return run("family_create", "debian-13", *project, *arch, *words)


@pytest.fixture
def add(make_image: Any) -> Any:
    """``add("1", "--promote")``: an image that the command has added under this label."""

    def add(label: str, *words: str) -> Image:
        image: Image = make_image("active", name="own")
        run("family_add", "debian-13", image.pk, "--label", label, *words)
        return image

    return add


def test_a_family_is_created_filled_and_listed(add: Any) -> None:
    create("--public", "--reason", "new")
    image = add("1", "--promote")

    assert run("family_list") == "debian-13 project-a public 1\n"
    assert run("family_list", "--project", "people").startswith("debian-13")
    shown = run("family_show", "debian-13").splitlines()
    built = image.created_at.date()
    assert shown[0] == f"1 current {built} {image.pk} active"
    assert "of project project-a" in shown[1]
    event = FamilyEvent.objects.order_by("pk")[0]
    assert (event.verb, event.reason, event.interface) == ("create", "new", "command")


def test_the_families_of_a_project_that_is_gone_are_listed() -> None:
    Family.objects.create(name="old", owner="gone", architecture="x")

    assert run("family_list", "--project", "gone") == "old gone project -\n"


def test_a_family_is_published_and_published_no_longer() -> None:
    create("--publish")
    assert Family.objects.get().publish

    run("family_publish", "debian-13", "--stop")
    assert not Family.objects.get().publish

    run("family_publish", "debian-13", "--dry-run")
    assert not Family.objects.get().publish

    run("family_publish", "debian-13")
    assert Family.objects.get().publish


def test_a_template_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text('{"min_disk": 2}')

    create("--template", str(path))

    assert Family.objects.get().template == {"min_disk": 2}


@pytest.mark.parametrize("text", ["", '{"min_disk": -1}', '{"x": 1}'])
def test_a_malformed_template_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text(text)

    with pytest.raises(CommandError):
        create("--template", str(path))
    assert not Family.objects.exists()


def test_a_promotion_and_a_rollback_tell_what_they_change(add: Any) -> None:
    create()
    first, second = add("1", "--promote"), add("2")

    told = run("family_promote", "debian-13", "2").splitlines()
    assert sorted(told[:2]) == sorted(
        [
            f"{first.pk}: os_hidden false -> true",
            f"{second.pk}: os_hidden true -> false",
        ]
    )
    assert told[2] == "Family debian-13, current version 2: 2 images changed."
    assert "current version 1" in run("family_rollback", "debian-13", "--withdraw")
    assert run("family_show", "debian-13").splitlines()[0].startswith("2 withdrawn")


def test_a_new_current_image_is_one_image_and_was_never_hidden(make_image: Any) -> None:
    create()
    image = make_image("active", name="upload")

    told = run("family_add", "debian-13", image.pk, "--label", "1", "--promote")

    assert told.splitlines() == [
        f"{image.pk}: name 'upload' -> 'debian-13', image_family none -> 'debian-13', "
        "image_version none -> '1'",
        "Family debian-13, current version 1: 1 image changed.",
    ]


def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    add: Any, make_image: Any
) -> None:
    create()
    add("1", "--promote")
    image, events = make_image("active", name="own"), FamilyEvent.objects.count()

    told = run("family_add", "debian-13", image.pk, "--promote", "--dry-run")

    assert f"{image.pk}: name 'own' -> 'debian-13'" in told
    assert "2 images would be changed" in told
    assert Image.objects.get(pk=image.pk).name == "own"
    assert FamilyEvent.objects.count() == events
    assert run("family_list") == "debian-13 project-a project 1\n"


def test_changes_are_printed_as_json(add: Any) -> None:
    create()
    first = add("1", "--promote")
    add("2")

    lines = run("family_promote", "debian-13", "2", "--json").splitlines()

    changed = {it["image"]: it["changes"] for it in map(json.loads, lines)}
    assert changed[first.pk] == {"os_hidden": {"before": False, "after": True}}
    (shown, _) = run("family_show", "debian-13", "--json").splitlines()
    assert json.loads(shown)["label"] in "12"
    (listed,) = run("family_list", "--json").splitlines()
    assert json.loads(listed)["current"] == "2"


@pytest.mark.parametrize(
    "words",
    [
        ("family_show", "trixie"),
        ("family_promote", "debian-13", "7"),
        ("family_rollback", "debian-13"),
        ("family_add", "debian-13", "no-image"),
        ("family_add", "debian-13", "no-image", "--label", "-"),
    ],
)
def test_what_is_not_possible_is_said(words: tuple[str, ...]) -> None:
    create()

    with pytest.raises(CommandError):
        run(*words)


def test_a_name_of_several_projects_needs_the_id() -> None:
    for owner in ("a", "b"):
        Family.objects.create(name="debian-13", owner=owner, architecture="x")
    some = Family.objects.first()
    assert some is not None

    with pytest.raises(CommandError, match="Use the id"):
        run("family_show", "debian-13")
    assert "project" in run("family_show", str(some.pk))
