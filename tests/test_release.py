"""The version of a checkout, and the checks before a release."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from imagecatalog import installation
from tests import release

GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]


def git(folder: Path, *command: str) -> None:
    subprocess.run([*GIT, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit with a changelog of 1.2.0 and no fragments."""
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 (2026-12-01)\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message=one")
    return tmp_path


def test_a_tagged_checkout_has_the_version_of_its_tag(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")

    assert installation.of_checkout(checkout) == "1.2.0"


def test_a_commit_after_a_tag_is_told_from_it(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")
    git(checkout, "commit", "--allow-empty", "--message=two")

    assert installation.of_checkout(checkout).startswith("1.2.0-1-g")


def test_a_checkout_without_tags_has_its_commit_as_version(checkout: Path) -> None:
    git(checkout, "tag", "latest")

    assert len(installation.of_checkout(checkout)) >= 7


def test_files_without_git_have_no_version(checkout: Path) -> None:
    (checkout / "unpacked").mkdir()

    assert installation.of_checkout(checkout / "unpacked") == "unknown"


def test_the_version_of_a_release_is_its_tag(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")

    assert release.tagged_version(checkout) == "1.2.0"


def test_a_commit_without_a_tag_is_not_released(checkout: Path) -> None:
    with pytest.raises(release.Failed, match="0 tags"):
        release.tagged_version(checkout)


def test_changes_that_are_not_committed_are_not_released(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")
    (checkout / "CHANGELOG.md").write_text("changed")

    with pytest.raises(release.Failed, match="not committed"):
        release.tagged_version(checkout)


def test_a_changelog_of_the_version_passes(checkout: Path) -> None:
    release.check_changelog(checkout, "1.2.0")


@pytest.mark.parametrize("version", ["1.3.0", "1.2", "1.2.0rc1"])
def test_a_version_that_the_changelog_lacks_is_not_released(
    checkout: Path, version: str
) -> None:
    with pytest.raises(release.Failed, match="no section"):
        release.check_changelog(checkout, version)


def test_fragments_that_are_not_in_the_changelog_stop_a_release(
    checkout: Path,
) -> None:
    (checkout / "changelog.d").mkdir()
    (checkout / "changelog.d" / "+one.added.md").write_text("One.")

    with pytest.raises(release.Failed, match="1 fragments"):
        release.check_changelog(checkout, "1.2.0")


def test_the_bill_of_materials_names_the_version(tmp_path: Path) -> None:
    document = tmp_path / "bill.json"
    document.write_text('{"metadata": {"component": {"name": "imagecatalog-server"}}}')

    release.set_version(document, "1.2.0")

    assert json.loads(document.read_text())["metadata"]["component"] == {
        "name": "imagecatalog-server",
        "version": "1.2.0",
    }


def test_each_vulnerability_is_a_line() -> None:
    report = [
        {"name": "good", "version": "1", "vulns": []},
        {
            "name": "bad",
            "version": "2",
            "vulns": [
                {"id": "CVE-1", "fix_versions": ["2.1", "3.0"]},
                {"id": "CVE-2", "fix_versions": []},
            ],
        },
        {"name": "skipped", "skip_reason": "not found"},
    ]

    assert list(release.vulnerabilities(report)) == [
        "bad 2: CVE-1, fixed in 2.1, 3.0",
        "bad 2: CVE-2, fixed in no release yet",
    ]
