"""publish_export: a static copy of what is published, for any web server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from images import families, lifecycle
from images.publishing.static_copy import MARKER
from tests.api.published.conftest import COMMAND, work

pytestmark = pytest.mark.django_db
URL = "https://mirror.example.org/images"
FEBRUARY = b"the bytes of February"
FOLDER = "images/debian-13/20260101"
FILE = f"{FOLDER}/debian-13-20260101.qcow2"


@pytest.fixture(autouse=True)
def public(settings: Any) -> None:
    settings.IMAGECATALOG_PUBLISH = "public"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def export(out: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``export("--delete")``: what the command prints."""

    def run(*options: str) -> str:
        call_command("publish_export", str(out), "--url", URL, *options)
        return "".join(capsys.readouterr())

    return run


def files(out: Path) -> set[str]:
    found = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {str(path) for path in found} - {MARKER}


def test_a_copy_has_the_files_and_pages_of_the_service(
    january: Any, out: Path, visitor: Client, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example.org"

    call_command("publish_export", str(out))

    found = files(out)
    served = {
        path: visitor.get(f"/pub/{path.removesuffix('index.html')}").getvalue()
        for path in found
    }
    assert served == {path: (out / path).read_bytes() for path in found}
    assert {FILE, "index", "index.json", "style.css", "images/index.html"} < found
    assert "images/debian-13/current/debian-13.qcow2" in found


def test_the_commands_on_the_pages_name_the_copy(
    export: Any, january: Any, out: Path
) -> None:
    export()

    page = (out / "images/debian-13/index.html").read_text()
    assert f"curl -fLO {URL}/{FILE}" in page


def test_coreutils_find_nothing_wrong_in_a_copy(
    export: Any, january: Any, out: Path
) -> None:
    export()

    for folder in (FOLDER, "images/debian-13/current"):
        for program in ("sha256sum", "sha512sum"):
            sums = program.upper().replace("SUM", "SUMS")
            command = [program, "--check", "--strict", sums]
            subprocess.run(command, cwd=out / folder, check=True, timeout=60)


def test_a_second_run_copies_only_what_is_new(
    export: Any, january: Any, out: Path, add: Any
) -> None:
    export()
    add("20260201", FEBRUARY)
    work()

    printed = export()

    assert "1 copied, 0 shared with a store, 1 already there" in printed
    current = out / "images/debian-13/current"
    assert (current / "debian-13.qcow2").read_bytes() == FEBRUARY
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=current, check=True, timeout=60)


def test_a_deactivated_version_leaves_the_indexes_and_with_delete_the_folder(
    export: Any, january: Any, out: Path, add: Any
) -> None:
    add("20260201", FEBRUARY)
    work()
    export()
    lifecycle.deactivate(january.pk, COMMAND, "damaged")

    printed = export()

    assert "No longer published" in printed
    assert FILE in files(out)
    for path in ("index.json", "index", "streams/v1/images.json"):
        assert "20260101" not in (out / path).read_text()
    export("--delete")
    assert not (out / FOLDER).exists()


def test_a_family_that_is_no_longer_published_leaves_no_page(
    export: Any, january: Any, out: Path, family: Any, add: Any
) -> None:
    family("rocky-10")
    add("20260201", FEBRUARY, ref="rocky-10")
    work()
    export()
    families.update(COMMAND, "debian-13", {"publish": False})

    export()

    assert "images/debian-13/index.html" not in files(out)
    assert "images/debian-13/current/debian-13.qcow2" not in files(out)
    assert FILE in files(out)


def test_gpgv_verifies_a_signed_copy(
    export: Any, january: Any, out: Path, signed: None
) -> None:
    export("--sign")

    for folder in (FOLDER, "images/debian-13/current"):
        command = ["gpgv", "--keyring", str(out / "key.gpg"), "SHA256SUMS.gpg"]
        command.append("SHA256SUMS")
        subprocess.run(command, cwd=out / folder, check=True, timeout=60)
    assert {"index.asc", "streams/v1/index.sjson", "key.asc"} < files(out)
    page = (out / "images/debian-13/index.html").read_text()
    assert "Fingerprint of the public key" in page


def test_files_of_signatures_go_with_the_key(
    export: Any, january: Any, out: Path, signed: None, settings: Any
) -> None:
    export("--sign")
    settings.IMAGECATALOG_PUBLISH_KEY = ""

    export()

    assert not files(out) & {"index.asc", "streams/v1/index.sjson", "key.asc"}


def test_links_to_the_store_come_with_a_warning(
    export: Any, january: Any, out: Path
) -> None:
    printed = export("--link")

    assert "1 shared with a store" in printed
    assert "changes the stored data" in printed


def test_a_copy_is_not_emptied_if_nothing_is_published(
    export: Any, january: Any, out: Path
) -> None:
    export()
    before = files(out)
    families.update(COMMAND, "debian-13", {"publish": False})

    with pytest.raises(CommandError, match="Nothing is published yet"):
        export("--delete")

    assert files(out) == before


@pytest.mark.parametrize(
    ("setting", "options", "reason"),
    [
        ({"IMAGECATALOG_PUBLISH": "off"}, ["--url", URL], "Set IMAGECATALOG_PUBLISH"),
        ({}, [], "Give its address with --url"),
        ({}, ["--url", URL, "--sign"], "publish_key"),
        ({}, ["--url", URL, "--link", "--copy"], "not allowed"),
    ],
)
def test_a_copy_that_cannot_be_made_is_refused(
    out: Path, settings: Any, setting: dict[str, str], options: list[str], reason: str
) -> None:
    for name, value in setting.items():
        setattr(settings, name, value)

    with pytest.raises(CommandError, match=reason):
        call_command("publish_export", str(out), *options)

    assert not out.exists()
