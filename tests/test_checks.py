"""System checks: the errors and warnings about settings that every command shows first."""

from __future__ import annotations

import http.cookies
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from imagecatalog import checks
from tests import servers


def run(
    folder: Path, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(folder)} | variables
    return servers.manage(env, *command, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "image_reap", "image_scrub"])
def test_stores_that_cannot_be_read_stop_every_command(
    command: str, tmp_path: Path
) -> None:
    done = run(tmp_path, command, IMAGECATALOG_STORES="somewhere")

    assert done.returncode == 1
    assert "IMAGECATALOG_STORES: it must be like 'local=file:///" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_rules_that_cannot_be_read_stop_every_command(settings: Any) -> None:
    settings.IMAGECATALOG_POLICY_FILE = "/nowhere/policy.yaml"

    with pytest.raises(SystemCheckError, match=r"IMAGECATALOG_POLICY_FILE /nowhere"):
        call_command("check")


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_warned_of(
    place: str, tmp_path: Path, settings: Any
) -> None:
    (tmp_path / "file").touch()
    settings.IMAGECATALOG_STORES = f"local=file://{tmp_path}/{place}"

    with pytest.raises(
        SystemCheckError, match="'local' cannot keep data: this user cannot write"
    ):
        call_command("check", fail_level="WARNING")


@pytest.mark.django_db
def test_a_folder_in_a_file_system_without_files_is_warned_of_also_for_root(
    settings: Any,
) -> None:
    settings.IMAGECATALOG_STORES = "local=file:///proc/images"

    with pytest.raises(SystemCheckError, match="write to /proc/images: No such file"):
        call_command("check", fail_level="WARNING")


def test_a_deployment_with_tls_is_warned_of_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a #%20folder"
    servers.make_database(folder)

    done = run(
        folder,
        "check",
        "--deploy",
        "--fail-level=WARNING",
        IMAGECATALOG_PUBLIC_URL="https://images.example.org",
        IMAGECATALOG_TRUSTED_PROXIES="127.0.0.1",
        IMAGECATALOG_SECRET_KEY="B7mC2xQw9LtR4vZk8NsH1pYf6JgD3aWe",
        IMAGECATALOG_SECRET_KEY_FALLBACKS="Qx8vB2nM5kL9jH4gF7dS1aP6oI3uY0tR",
    )

    # An old Python is no fault of the deployment.
    found = set(re.findall(r"\((\S+\.[EW][0-9]+)\)", done.stdout + done.stderr))
    assert found <= {"imagecatalog.W003"}, done.stderr
    assert done.returncode == len(found)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("IMAGECATALOG_PUBLIC_URL", "http://images", "is not an https URL"),
        ("SECRET_KEY_FALLBACKS", ("secret",), "has a key that can be guessed"),
    ],
)
def test_a_deployment_is_warned_of_what_is_not_safe(
    name: str, value: Any, sentence: str, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example.org"
    setattr(settings, name, value)

    with pytest.raises(SystemCheckError, match=sentence):
        call_command(
            "check",
            deploy=True,
            tags=["security", "configuration"],
            fail_level="WARNING",
        )


@pytest.mark.django_db
def test_a_folder_that_the_first_upload_will_make_is_no_fault(
    tmp_path: Path, settings: Any
) -> None:
    settings.IMAGECATALOG_STORES = f"local=file://{tmp_path}/not/yet"

    call_command("check", fail_level="WARNING")


def test_a_database_without_tables_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    done = run(tmp_path, "image_status", DATABASE_URL=f"sqlite:///{tmp_path}/new")

    assert done.returncode == 1
    assert "`manage.py migrate` prepares a new database" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_data_folder_that_does_not_exist_is_said_to_be_so(tmp_path: Path) -> None:
    done = run(tmp_path / "new", "user_list")

    assert done.returncode == 1
    advice = "`manage.py serve` makes it; or set IMAGECATALOG_DATA_DIR or DATABASE_URL."
    assert done.stderr == f"The folder {tmp_path}/new does not exist. {advice}\n"


def test_a_database_that_does_not_exist_is_said_to_be_so(tmp_path: Path) -> None:
    done = run(tmp_path, "user_list")

    missing = f"The database {tmp_path}/catalogue.sqlite3 does not exist."
    assert done.stderr.startswith(f"{missing} `manage.py serve` makes it")


def test_serve_is_not_said_to_make_a_folder_of_another_database(tmp_path: Path) -> None:
    done = run(tmp_path, "user_list", DATABASE_URL=f"sqlite:///{tmp_path}/no/database")

    assert f"Make the folder {tmp_path}/no, or correct DATABASE_URL." in done.stderr


@pytest.mark.slow
def test_a_catalogue_that_was_never_served_is_checked_without_making_it(
    tmp_path: Path,
) -> None:
    done = run(tmp_path / "new", "check", "--deploy")

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "new").exists()


def check_interpreter() -> None:
    call_command("check", deploy=True, tags=["interpreter"], fail_level="WARNING")


def test_a_python_with_slow_cookies_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "sys", SimpleNamespace(version_info=(3, 12, 5)))
    monkeypatch.delattr(http.cookies, "_unquote_sub", raising=False)
    with pytest.raises(SystemCheckError, match="CVE-2024-7592"):
        check_interpreter()

    monkeypatch.setattr(http.cookies, "_unquote_sub", None, raising=False)  # the fix
    check_interpreter()


@pytest.mark.django_db
def test_a_file_with_authorities_that_is_missing_stops_every_command(
    settings: Any,
) -> None:
    settings.IMAGECATALOG_LDAP_CA_FILE = "/nowhere/ca.pem"

    with pytest.raises(SystemCheckError, match="IMAGECATALOG_LDAP_CA_FILE: /nowhere"):
        call_command("check")
