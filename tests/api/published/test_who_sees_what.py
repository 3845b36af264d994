"""What of a family is published, and for whom."""

from __future__ import annotations

import lzma
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.test import Client

from images import access, errors, families, lifecycle
from images.access import property_protections
from images.attributes import Changes
from images.models import (
    Family,
    FamilyVersion,
    Publication,
    PublicationChange,
    PublishedTree,
)
from images.publishing import duties
from tests.api.published.conftest import COMMAND, PROJECT, work

FOLDER = "/pub/images/debian-13/20260101"
FILE = f"{FOLDER}/debian-13-20260101.qcow2"
CURRENT = "/pub/images/debian-13/current/debian-13.qcow2"
OWN = f"/pub/project/{PROJECT}"


def listed(client: Client, root: str = "/pub") -> list[str]:
    """The labels in the index of a tree, newest first."""
    found = client.get(f"{root}/index.json").json()["families"]
    return [version["label"] for family in found for version in family["versions"]]


def current(client: Client) -> str:
    """The label of the current version by its file; empty without one."""
    location = client.head(CURRENT).headers.get("Content-Location", "")
    return location.rpartition("/")[0].rpartition("/")[2]


def promote(label: str) -> None:
    families.promote(COMMAND, "debian-13", label)


@pytest.mark.parametrize("path", ["/pub", "/pub/", "/pub/index.json", FILE])
def test_switched_off_it_is_an_unknown_path(
    path: str, settings: Any, visitor: Any, two: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH = "off"
    response, unknown = visitor.get(path), visitor.get("/nowhere")

    assert (response.status_code, response.content) == (300, unknown.content)
    duties.publish()
    assert not Publication.objects.exists()


def test_a_family_is_published_when_it_says_so(visitor: Any, two: Any) -> None:
    assert listed(visitor) == ["20260201", "20260101"]

    families.update(COMMAND, "debian-13", {"publish": False})

    assert listed(visitor) == []
    assert visitor.get(FILE).status_code == 404


def test_a_new_name_moves_the_family(visitor: Any, two: Any) -> None:
    families.update(COMMAND, "debian-13", {"name": "debian"})

    assert visitor.get(FILE).status_code == 404
    assert (
        visitor.get("/pub/images/debian/20260101/debian-20260101.qcow2").status_code
        == 200
    )


def test_a_deleted_family_is_gone(visitor: Any, two: Any) -> None:
    families.delete(COMMAND, "debian-13")

    assert listed(visitor) == []
    assert visitor.get(FILE).status_code == 404


def deactivate(image: Any) -> None:
    lifecycle.deactivate(image.pk, COMMAND)


def delete(image: Any) -> None:
    lifecycle.delete(image.pk, COMMAND)


def hide_from_the_public(image: Any) -> None:
    lifecycle.update(image.pk, Changes({"visibility": "private"}), COMMAND)


def withdraw(image: Any) -> None:
    families.change(COMMAND, "debian-13", "20260101", withdrawn=True)


def remove(image: Any) -> None:
    families.remove(COMMAND, "debian-13", "20260101")


@pytest.mark.parametrize(
    "end", [deactivate, delete, hide_from_the_public, withdraw, remove]
)
def test_a_version_ends_at_once_for_everybody(end: Any, visitor: Any, two: Any) -> None:
    end(two[0])

    assert visitor.get(FILE).status_code == 404
    assert visitor.get(f"{FOLDER}/SHA256SUMS").status_code == 404
    assert visitor.get(f"{FOLDER}/").status_code == 404
    assert listed(visitor) == ["20260201"]
    assert "20260101" not in visitor.get("/pub/streams/v1/images.json").content.decode()


def test_a_deactivation_and_the_indexes_are_one_transaction(
    visitor: Any, two: Any
) -> None:
    with transaction.atomic():
        deactivate(two[0])
        assert listed(visitor) == ["20260201"]
        transaction.set_rollback(True)

    assert listed(visitor) == ["20260201", "20260101"]


def test_a_reactivated_image_comes_back(visitor: Any, two: Any) -> None:
    deactivate(two[1])
    assert current(visitor) == ""
    lifecycle.reactivate(two[1].pk, COMMAND)

    assert listed(visitor) == ["20260201", "20260101"]
    assert current(visitor) == "20260201"


def test_a_promotion_publishes(visitor: Any, two: Any, add: Any) -> None:
    add("20260301", b"March", promote=False)
    work()
    assert listed(visitor) == ["20260201", "20260101"]

    promote("20260301")

    assert listed(visitor) == ["20260301", "20260201", "20260101"]
    assert current(visitor) == "20260301"


def test_the_former_version_stays_current_until_the_new_one_is_prepared(
    visitor: Any, two: Any, add: Any
) -> None:
    add("20260301", b"March")
    assert current(visitor) == "20260201"

    work()

    assert current(visitor) == "20260301"


def test_a_rollback_counts_as_a_change_of_the_current_version(
    visitor: Any, two: Any
) -> None:
    before = Publication.objects.get().revision
    families.rollback(COMMAND, "debian-13")

    assert current(visitor) == "20260101"
    assert Publication.objects.get().revision == before + 1


def test_no_more_versions_are_listed_than_configured(
    settings: Any, visitor: Any, two: Any
) -> None:
    promote("20260101")
    settings.IMAGECATALOG_PUBLISH_VERSIONS = 1
    duties.publish()

    assert listed(visitor) == [
        "20260201",
        "20260101",
    ]  # the newest, and the current one

    promote("20260201")
    assert listed(visitor) == ["20260201"]


def test_a_version_cannot_take_the_place_of_the_current_folder(
    visitor: Any, two: Any, add: Any
) -> None:
    add("current", b"something else")
    work()

    assert current(visitor) == "20260201"


def test_a_change_that_was_not_noted_is_found_later(visitor: Any, two: Any) -> None:
    FamilyVersion.objects.filter(label="20260101").update(withdrawn=True)
    assert listed(visitor) == ["20260201", "20260101"]

    PublishedTree.objects.update(refreshed_at="2026-01-01 00:00Z")
    duties.publish()

    assert listed(visitor) == ["20260201"]


# Signing in


@pytest.fixture
def own(settings: Any, family: Any, add: Any) -> Any:
    """A published family of a project, whose image is private."""
    settings.IMAGECATALOG_PUBLISH = "signed-in"
    family(scope="project")
    image = add("20260101", visibility="private")
    work()
    return image


def test_a_project_s_family_is_not_public(
    visitor: Any, settings: Any, own: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH = "public"

    assert listed(visitor) == []
    assert visitor.get(f"{OWN}/index.json").status_code == 404


@pytest.mark.parametrize("path", ["/pub/", "/pub/index.json", FILE, f"{OWN}/"])
def test_clients_are_asked_to_sign_in(path: str, visitor: Any, own: Any) -> None:
    response = visitor.get(path)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_project_reads_its_own_tree(api: Any, own: Any) -> None:
    response = api.member.get(FILE.replace("/pub", OWN))

    assert listed(api.member, OWN) == ["20260101"]
    assert response.status_code == 200
    assert response.headers["Cache-Control"].startswith("private, ")
    assert listed(api.member) == []  # the public tree


def test_nobody_reads_the_tree_of_another_project(api: Any, own: Any) -> None:
    for path in (f"{OWN}/", f"{OWN}/index.json", FILE.replace("/pub", OWN)):
        assert api.stranger.get(path).status_code == 404
    assert api.member.get("/pub/project/unknown/").status_code == 404
    assert not PublishedTree.objects.filter(pk="unknown").exists()


def test_a_file_needs_the_rule_of_a_download(api: Any, own: Any) -> None:
    assert api.reader.get(f"{OWN}/index.json").status_code == 200
    assert api.reader.get(FILE.replace("/pub", OWN)).status_code == 403


def test_a_public_family_is_for_all_who_sign_in(
    settings: Any, api: Any, visitor: Any, two: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH = "signed-in"

    assert visitor.get(FILE).status_code == 401
    assert api.stranger.get(FILE).status_code == 200
    assert listed(api.stranger) == ["20260201", "20260101"]


def test_the_scope_decides_in_which_tree_a_family_is(
    settings: Any, api: Any, two: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH = "signed-in"
    families.update(COMMAND, "debian-13", {"scope": "project"})
    assert (listed(api.member), len(listed(api.member, OWN))) == ([], 2)

    families.update(COMMAND, "debian-13", {"scope": "public"})
    assert (len(listed(api.member)), listed(api.member, OWN)) == (2, [])


# The value of a family


def test_publishing_needs_its_rule(api: Any, settings: Any) -> None:
    values = {"name": "own", "architecture": "x86_64"}
    path, kind = "/catalog/v1/families", "application/json"
    refused = api.member.post(path, values | {"publish": True}, content_type=kind)
    made = api.member.post(path, values, content_type=kind)
    change = {"publish": True}

    assert (refused.status_code, made.status_code) == (403, 201)
    one = f"{path}/{made.json()['id']}"
    assert api.member.patch(one, change, content_type=kind).status_code == 403
    assert api.admin.patch(one, change, content_type=kind).json()["publish"] is True
    stop = {"publish": False}
    assert api.member.patch(one, stop, content_type=kind).status_code == 200


def test_a_property_named_family_hides_no_change(visitor: Any, two: Any) -> None:
    changes = Changes({"visibility": "private"}, {"family": "debian-13"})
    lifecycle.update(two[0].pk, changes, COMMAND)

    assert listed(visitor) == ["20260201"]


def test_a_member_takes_no_alias_from_the_families_of_others(two: Any) -> None:
    member = access.visitor(PROJECT, "member")

    with pytest.raises(errors.Forbidden):
        families.update(member, "debian-13", {"template": {"aliases": ["ubuntu/24"]}})

    families.update(COMMAND, "debian-13", {"template": {"aliases": ["debian/13"]}})
    families.update(
        member, "debian-13", {"template": {"aliases": ["debian/13"], "scs": True}}
    )


def test_names_that_the_tree_needs_are_not_published(
    visitor: Any, two: Any, family: Any, add: Any
) -> None:
    add("index.html")  # the page of a folder in a copy
    add("current")
    family("index.html")
    add("20260101", ref="index.html")
    work()

    assert listed(visitor) == ["20260201", "20260101"]


@pytest.mark.parametrize(("mode", "is_on"), [("off", False), ("signed-in", True)])
def test_clients_learn_whether_the_service_publishes(
    mode: str, is_on: bool, settings: Any, api: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH = mode

    assert api.reader.get("/catalog/v1").json()["features"]["publishing"] is is_on


def test_a_policy_file_holds_for_everybody(policy: Any, visitor: Any, two: Any) -> None:
    policy('"download_image": "role:customer"')
    assert visitor.get(FILE).status_code == 404

    policy('"get_family": "role:customer"')
    assert visitor.get(f"{FOLDER}/").status_code == 404
    assert visitor.get(FILE).status_code == 404


def test_a_damaged_copy_is_published_to_nobody(
    policy: Any, visitor: Any, two: Any
) -> None:
    policy('"download_damaged": ""')
    two[0].locations.update(damage="another digest")

    assert visitor.get(FILE).status_code == 503


def protect(file: Path, *names: str) -> None:
    """Let nobody read properties with these names, as a service does that starts with such a file."""
    protections = [
        f"[^({name})$]\ncreate=admin\nread={who}\nupdate=admin\ndelete=admin\n"
        for name, who in [*((name, "admin") for name in names), (".*", "@")]
    ]
    file.write_text("".join(protections))
    property_protections._read.cache_clear()
    property_protections._allows.cache_clear()


def test_protected_properties_are_in_no_file(
    settings: Any, visitor: Any, family: Any, add: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE = str(tmp_path / "protections")
    protect(tmp_path / "protections", "os_version")
    family(template={"properties": {"os_version": "secret"}})
    add("20260101", properties={"os_version": "secret", "os_distro": "debian"})
    work()

    archive = lzma.decompress(visitor.get(f"{FOLDER}/meta.tar.xz").content)
    assert b"debian" in archive
    assert b"secret" not in archive
    for path in (f"{FOLDER}/meta.json", "/pub/streams/v1/images.json"):
        assert b"secret" not in visitor.get(path).content


def test_a_property_that_is_protected_later_leaves_what_is_published(
    settings: Any, visitor: Any, family: Any, add: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE = str(tmp_path / "protections")
    protect(tmp_path / "protections")
    family()
    add("20260101", properties={"colour": "red"})
    work()
    assert visitor.get(f"{FOLDER}/meta.json").json()["colour"] == "red"

    protect(tmp_path / "protections", "colour")
    work()

    assert "colour" not in visitor.get(f"{FOLDER}/meta.json").json()


@pytest.fixture
def few_values(db: None) -> Iterator[None]:
    """SQLite allows 999 values in a query, as some builds of it do."""
    if connection.vendor != "sqlite":
        yield
        return
    limit = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
    connection.ensure_connection()
    before = connection.connection.setlimit(limit, 999)
    yield
    connection.connection.setlimit(limit, before)


def test_any_number_of_changes_can_be_noted_before_they_are_read(
    visitor: Any, two: Any, few_values: None
) -> None:
    family = Family.objects.get().pk
    PublicationChange.objects.bulk_create(
        [PublicationChange(tree="", family=family) for _ in range(1200)], batch_size=400
    )

    assert len(listed(visitor)) == 2
    assert not PublicationChange.objects.exists()


def test_rows_of_another_release_do_not_stop_readers(visitor: Any, two: Any) -> None:
    row = Publication.objects.get()
    snapshot = orjson.loads(bytes(row.snapshot))
    snapshot["novel"] = snapshot["versions"][0]["novel"] = "value"
    Publication.objects.update(snapshot=orjson.dumps(snapshot))

    assert visitor.get(FILE).status_code == 200
