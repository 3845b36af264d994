"""The digests that are kept of the data of images, what has stated them, and the search."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Field
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from images import errors, imports, lifecycle, listing, uploads
from images.access import Caller
from images.imports import ImportRequest
from images.models import Image
from images.operations import known_digests, purge
from images.search import matching
from tests.copies import work
from tests.rows import current

DATA = b"the bytes of an image"
DIGESTS = {
    name: hashlib.new(name, DATA).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha384", "sha512")
}
Make = Callable[..., Image]


def having(algorithm: str, digest: str) -> list[str]:
    found = Image.objects.filter(known_digests.having(algorithm, digest))
    return list(found.values_list("pk", flat=True))


def test_an_upload_keeps_what_was_computed(make_image: Make, member: Caller) -> None:
    image = make_image()

    lifecycle.upload(image.pk, [DATA], member)

    kept = {name: DIGESTS[name] for name in ("md5", "sha512")}
    assert (current(image).digests, current(image).verified_by) == (kept, "")
    assert current(image).verified_at is None


def test_an_upload_keeps_the_digests_that_were_expected(
    make_image: Make, member: Caller
) -> None:
    image, stated = make_image(), {"sha256": DIGESTS["sha256"]}

    lifecycle.upload(image.pk, [DATA], member, expected_digests=stated)

    assert current(image).digests["sha256"] == DIGESTS["sha256"]
    assert current(image).verified_by == "repr-digest"
    assert current(image).verified_at is not None


def test_an_import_keeps_the_digests_that_were_expected(
    make_image: Make, member: Caller
) -> None:
    image = make_image()
    uploads.stage(image.pk, [DATA], member)
    stated = {"sha256": DIGESTS["sha256"]}
    wanted = ImportRequest("glance-direct", digests=stated)
    imports.request_import(image.pk, wanted, member)
    work()

    assert current(image).digests["sha256"] == DIGESTS["sha256"]
    assert current(image).verified_by == "import"


@pytest.mark.parametrize("by", ["import", "owner"])
def test_an_import_that_a_plugin_changes_keeps_the_digests_of_its_source(
    by: str, make_image: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = True
    packed = gzip.compress(DATA)
    source = {"sha256": hashlib.sha256(packed).hexdigest()}
    stated = {"owner_specified.openstack.sha256": source["sha256"]}
    image = make_image(properties=stated if by == "owner" else {})
    uploads.stage(image.pk, [packed], member)
    wanted = ImportRequest("glance-direct", digests=source if by == "import" else {})
    imports.request_import(image.pk, wanted, member)
    work()

    after = current(image)
    assert (after.verified_by, after.source_digests) == (by, source)
    assert after.verified_at is not None
    assert after.digests["sha256"] == DIGESTS["sha256"]
    assert having("sha256", source["sha256"]) == []


def test_an_import_that_no_plugin_has_changed_is_its_own_source(
    make_image: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    image, stated = make_image(), {"sha256": DIGESTS["sha256"]}
    uploads.stage(image.pk, [DATA], member)
    wanted = ImportRequest("glance-direct", digests=stated)
    imports.request_import(image.pk, wanted, member)
    work()

    assert (current(image).verified_by, current(image).source_digests) == ("import", {})
    assert having("sha256", DIGESTS["sha256"]) == [image.pk]


def test_the_digests_expected_before_and_after_an_import_are_all_kept(
    make_image: Make, member: Caller
) -> None:
    image, stated = make_image(), {"sha256": DIGESTS["sha256"]}
    uploads.stage(image.pk, [DATA], member)
    wanted = ImportRequest(
        "glance-direct", digests=stated, expected_after={"sha384": DIGESTS["sha384"]}
    )
    imports.request_import(image.pk, wanted, member)
    work()

    assert {"sha256", "sha384"} <= current(image).digests.keys()


@pytest.mark.parametrize("by", ["owner", "checksum"])
def test_what_has_stated_a_digest_is_kept(
    by: str, make_image: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = True
    stated = {"owner_specified.openstack.md5": DIGESTS["md5"]}
    image = make_image(properties=stated if by == "owner" else {})
    checksum = DIGESTS["md5"] if by == "checksum" else None

    lifecycle.upload(image.pk, [DATA], member, expected_checksum=checksum)

    assert current(image).verified_by == by


def test_the_same_data_that_comes_again_adds_digests(
    make_image: Make, member: Caller
) -> None:
    image = make_image(digests={"sha384": DIGESTS["sha384"]}, verified_by="import")

    lifecycle.upload(image.pk, [DATA], member)

    assert current(image).digests.keys() == {"md5", "sha384", "sha512"}
    assert current(image).verified_by == "import"


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_an_image_is_found_by_a_known_digest(
    algorithm: str, make_image: Make, member: Caller
) -> None:
    image, other = make_image(), make_image()
    stated = {"sha256": DIGESTS["sha256"]}
    lifecycle.upload(image.pk, [DATA], member, expected_digests=stated)
    lifecycle.upload(other.pk, [b"other"], member)

    assert having(algorithm, DIGESTS[algorithm].upper()) == [image.pk]


def test_an_image_of_an_earlier_release_is_found_by_its_columns(
    make_image: Make,
) -> None:
    image = make_image("active", data=DATA)

    assert image.digests == {}
    for algorithm in ("md5", "sha512"):
        assert having(algorithm, DIGESTS[algorithm]) == [image.pk]
    assert having("sha256", DIGESTS["sha256"]) == []


@pytest.mark.parametrize(
    ("algorithm", "digest"), [("sha256", "x" * 64), ("sha256", ""), ("", "0" * 64)]
)
def test_what_is_no_digest_finds_nothing(algorithm: str, digest: str) -> None:
    with pytest.raises(errors.Invalid, match="This is not a digest"):
        known_digests.having(algorithm, digest)


MANY = 100_000
INDEXES = {"image_sha256", "image_hash_value"}
# What reads all images of a list, not those with a digest.
WHOLE = re.compile(
    r"^SCAN images_image\b|Seq Scan on images_image\b|_newest", re.MULTILINE
)


@pytest.fixture
def among_many(make_image: Make) -> Image:
    """An image with DIGESTS among MANY others of each visibility, with other digests."""
    image = make_image("active", digests=DIGESTS, name="wanted")
    columns = {
        it.column: f'"{it.column}"'
        for it in Image._meta.concrete_fields
        if isinstance(it, Field)
    }
    digests = """'{"sha256": "' || n || '"}'"""
    others = columns | {
        "id": "CAST(n AS text)",
        "visibility": "CASE n % 4 WHEN 0 THEN 'private' WHEN 1 THEN 'community'"
        " WHEN 2 THEN 'public' ELSE 'shared' END",
        "checksum": "CAST(n AS text)",
        "os_hash_value": "CAST(n AS text)",
        "digests": digests,
        "created_at": "datetime(created_at, n || ' seconds')",
    }
    if connection.vendor == "postgresql":
        others["digests"] = f"CAST({digests} AS jsonb)"
        others["created_at"] = "created_at + n * interval '1 second'"
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers(n) AS"
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})"
            f" INSERT INTO images_image ({', '.join(columns.values())})"
            f" SELECT {', '.join(others.values())} FROM images_image, numbers"
        )
        cursor.execute("ANALYZE")
    return image


def plan(query: str) -> str:
    """Return how the database answers a query."""
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {query}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def test_a_digest_among_many_images_is_found_through_indexes(
    among_many: Image, member: Caller, admin: Caller
) -> None:
    def listed(caller: Caller) -> list[str]:
        wanted = listing.Listing(
            where=known_digests.having("sha256", DIGESTS["sha256"]),
            visibility="all",
            member_status="all",
        )
        return [row["id"] for row in listing.page(caller, wanted).rows]

    def searched() -> list[str]:
        newest = Image.objects.existing().order_by("-created_at", "-pk")
        found = matching(newest, DIGESTS["sha256"], admin)
        return [it.pk for it in found[:100]]

    searches = {
        "list of a member": lambda: listed(member),
        "list of an admin": lambda: listed(admin),
        "command": lambda: having("sha256", DIGESTS["sha256"]),
        "search in the admin": searched,
    }
    for name, search in searches.items():
        with CaptureQueriesContext(connection) as queries:
            assert search() == [among_many.pk], name
        assert len(queries) <= (4 if search is searched else 1), name
        plans = [plan(query["sql"]) for query in queries]
        for found in plans:
            assert not WHOLE.search(found), f"{name}: {found}"
        used = {it for it in INDEXES for found in plans if it in found}
        assert used == INDEXES, f"{name}: {plans}"


def test_a_purged_image_keeps_no_digests(make_image: Make) -> None:
    image = make_image("deleted", digests=DIGESTS, verified_by="import")

    assert purge.purge_deleted(timezone.now() + timedelta(days=1)) == [image.pk]

    assert (current(image).digests, current(image).verified_by) == ({}, "")
