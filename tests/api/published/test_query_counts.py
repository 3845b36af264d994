"""Readers of a tree: as many queries for a hundred families as for ten."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images.models import Family, FamilyVersion, Image, PreparedVersion
from images.publishing import duties

PATHS = {
    "/pub/": 3,
    "/pub/index.json": 2,
    "/pub/streams/v1/images.json": 2,
    "/pub/index": 2,
    "/pub/images/": 2,
    "/pub/images/family-001/": 2,
    "/pub/images/family-001/0/": 2,
    "/pub/images/family-001/0/SHA256SUMS": 2,
    "/pub/images/family-001/0/family-001-0.qcow2": 4,
    "/pub/images/family-001/current/family-001.qcow2": 4,
}


def publish(make_image: Any, families: range, versions: int) -> None:
    """Add published families, each with so many versions, without the work for each of them."""
    for number in families:
        name = f"family-{number:03}"
        family = Family.objects.create(
            name=name,
            owner="project-a",
            scope="public",
            publish=True,
            architecture="x86_64",
        )
        for label in range(versions):
            image: Image = make_image(
                "active",
                visibility="public",
                disk_format="qcow2",
                digests={"sha256": "0" * 64},
            )
            version = FamilyVersion.objects.create(
                family=family,
                image=image,
                label=str(label),
                label_key=b"1",
                build_date="2026-01-01",
                promoted_at="2026-01-01 00:00Z",
            )
            PreparedVersion.objects.create(
                version=version, extension="qcow2", ready_at="2026-01-01 00:00Z"
            )
        family.current = version
        family.save(update_fields=["current"])


def counts(client: Any) -> dict[str, int]:
    return {path: queries(client, path) for path in PATHS}


def queries(client: Any, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
        b"".join(response)
    assert response.status_code == 200, path
    return len(captured)


@pytest.mark.once
def test_the_number_of_families_and_versions_does_not_matter(
    visitor: Any, make_image: Any
) -> None:
    publish(make_image, range(10), 2)
    visitor.get("/pub/")
    assert counts(visitor) == PATHS

    publish(make_image, range(10, 100), 2)
    Family.objects.filter(name="family-001").update(title="changed")
    duties.publish()
    duties._remove_all()
    visitor.get("/pub/")

    assert counts(visitor) == PATHS
    assert len(visitor.get("/pub/index.json").json()["families"]) == 100


@pytest.mark.once
def test_the_content_of_an_index_that_a_client_has_is_not_read(
    visitor: Any, make_image: Any
) -> None:
    publish(make_image, range(1), 1)
    etag = visitor.get("/pub/index.json").headers["ETag"]

    with CaptureQueriesContext(connection) as captured:
        response = visitor.get("/pub/index.json", headers={"If-None-Match": etag})

    assert response.status_code == 304
    assert not [it for it in captured if '"content"' in it["sql"]]


@pytest.mark.once
def test_a_change_is_renewed_in_as_many_queries_for_all_families(
    visitor: Any, make_image: Any
) -> None:
    from images.models.publication import note_change

    publish(make_image, range(10), 1)
    visitor.get("/pub/")
    found = []
    for families in (range(10, 11), range(11, 60)):
        note_change(Family.objects.get(name="family-001"))
        found.append(queries(visitor, "/pub/index.json"))
        publish(make_image, families, 1)
        duties._remove_all()
        visitor.get("/pub/")
    note_change(Family.objects.get(name="family-001"))
    found.append(queries(visitor, "/pub/index.json"))

    assert len({*found}) == 1, found


def test_a_round_of_the_worker_only_reads_when_nothing_has_changed(
    visitor: Any, make_image: Any
) -> None:
    publish(make_image, range(1), 1)
    visitor.get("/pub/")

    with CaptureQueriesContext(connection) as captured:
        duties.publish()

    assert [it["sql"].split()[0] for it in captured] == ["SELECT"] * 4
