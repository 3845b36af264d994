"""The metrics, as Prometheus reads them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.db import Error
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from images import job_queue, lifecycle
from images.access import Caller
from images.job_queue import leases
from images.models import BackupReport, Job, Transfer, TransferTarget
from images.operations import health, metrics, overview
from images.transfers import limits
from tests import samples

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def version(settings: Any) -> None:
    settings.IMAGECATALOG_VERSION = "1.2"


@pytest.fixture(autouse=True)
def counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the catalogue at each request, as if it were small, however slow the machine is."""
    monkeypatch.setattr(overview, "QUICK", math.inf)


def read(**components: bool) -> dict[tuple[str, ...], float]:
    """Return the metrics (name and labels -> value) while these components work, or do not."""
    text = metrics.text(components).decode()
    return samples.values(text_string_to_metric_families(text))


def test_images_are_counted_by_status(make_image: Any) -> None:
    make_image("active", data=b"four")
    make_image("queued")

    found = read()

    assert (found["images", "active"], found["images", "queued"]) == (1, 1)
    assert found["images", "killed"] == 0
    assert (found["store_objects", "local"], found["store_bytes", "local"]) == (1, 4)
    assert found["store_free_bytes", "local"] > 0


def test_the_oldest_verification_and_the_damaged_copies_are_told(
    make_image: Any,
) -> None:
    make_image("active")
    make_image("active").locations.update(
        verified_at="1970-01-01T00:01:00Z", damage="wrong-digest: md5"
    )

    found = read()

    assert found["verification_oldest_timestamp_seconds",] == 60
    assert found["copies_damaged", "local"] == 1


def test_what_needs_an_operator_is_counted(make_image: Any) -> None:
    make_image("saving")
    Transfer.objects.update(heartbeat_at="2000-01-01T00:00:00Z")

    found = read()

    assert found["images_stuck",] == 1
    assert (found["images_damaged",], found["images_failed_24h",]) == (0, 0)
    assert found["transfers_running", "upload"] == 1
    assert found["transfers_to_remove",] == 0


def test_transfers_that_wait_are_counted_with_those_that_run(make_image: Any) -> None:
    make_image("saving")
    Transfer.objects.update(status="waiting", task_id=None, kind="copy")

    found = read()
    assert found["transfers_running", "copy"] == found["transfers_waiting", "copy"] == 1


def test_open_jobs_are_counted_by_kind(member: Caller) -> None:
    assert ("jobs_oldest_waiting_timestamp_seconds",) not in read()
    job_queue.request("test", member)
    leases.claim(job_queue.request("test", member), "")
    Job.objects.update(created_at="1970-01-01T00:01:00Z")

    found = read()

    assert found["jobs_waiting", "test"] == found["jobs_running", "test"] == 1
    assert found["jobs_oldest_waiting_timestamp_seconds",] == 60


def test_partial_data_of_a_successful_import_is_counted(make_image: Any) -> None:
    make_image("saving")
    transfer = Transfer.objects.get()
    Transfer.objects.update(status="done")
    TransferTarget.objects.create(
        transfer=transfer, store="far", key="k", required=False, status="failed"
    )

    assert read()["transfers_to_remove",] == 1


def test_the_trash_is_measured(make_image: Any, member: Caller) -> None:
    assert ("trash_next_scrub_timestamp_seconds",) not in read()
    lifecycle.delete(make_image("active", data=b"four").pk, member)

    found = read()

    assert (found["trash_images",], found["trash_bytes",]) == (1, 4)
    assert found["trash_next_scrub_timestamp_seconds",] > timezone.now().timestamp()


def test_objects_that_are_to_be_removed_are_counted(
    make_image: Any, member: Caller
) -> None:
    image = make_image("active", data=b"four")
    assert read()["objects_to_remove",] == 0

    lifecycle.delete(image.pk, member)
    image.locations.update(delete_after="2000-01-01T00:00:00Z")

    assert read()["objects_to_remove",] == 1


def test_no_project_is_named_by_default(make_image: Any) -> None:
    make_image("active", data=b"four")

    assert not [name for name, *_ in read() if name.startswith("project_")]


def test_projects_with_most_data_are_shown_up_to_a_number(
    make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_METRICS_PROJECTS = 2
    limits.set_own("b", {"image_size_total": 1})
    for owner, size in (("a", 3), ("b", 2), ("b", 2), ("c", 1)):
        make_image("active", size=size, owner=owner)
    make_image(owner="a")

    found = {key: it for key, it in read().items() if key[0].startswith("project_")}

    assert found == {
        ("project_bytes", "b"): 4,
        ("project_bytes", "a"): 3,
        ("project_images", "b"): 2,
        ("project_images", "a"): 2,
        ("project_quota_bytes", "b"): 1 << 20,
    }


def test_the_limits_of_projects_are_missing_while_keystone_does_not_tell_them(
    make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_METRICS_PROJECTS = 2
    settings.IMAGECATALOG_UNIFIED_LIMITS = True
    make_image("active", size=3, owner="a")

    found = read()

    assert found["project_bytes", "a"] == 3
    assert ("project_quota_bytes", "a") not in found


def test_backups_are_reported() -> None:
    assert ("backup_last_timestamp_seconds",) not in read()
    BackupReport.objects.create(pk=1, made_at=timezone.now(), is_whole=False)

    found = read()

    now = timezone.now().timestamp()
    assert found["backup_last_timestamp_seconds",] == pytest.approx(now, abs=60)
    assert found["backup_verified",] == found["backup_unchecked",] == 0


def test_components_are_up_or_not() -> None:
    health.report()
    found = read(database=True, store=False)

    assert (found["component_up", "database"], found["component_up", "store"]) == (1, 0)
    assert found["info", "1.2"] == 1
    now = timezone.now().timestamp()
    assert found["worker_last_report_timestamp_seconds",] == pytest.approx(now, abs=60)


def test_the_expiry_of_the_certificate_is_shown_if_there_is_one() -> None:
    expiry = ("certificate_expiry_timestamp_seconds",)
    text = metrics.text({}, certificate_expiry=1.5e9).decode()

    assert samples.values(text_string_to_metric_families(text))[expiry] == 1.5e9
    assert expiry not in read()


def test_without_a_database_there_are_the_metrics_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise Error

    monkeypatch.setattr(overview, "statistics", fail)

    found = read(database=False)

    assert found["component_up", "database"] == 0
    assert ("images_stuck",) not in found


def test_the_number_of_queries_does_not_depend_on_the_number_of_images(
    make_image: Any,
    settings: Any,
    django_assert_num_queries: Any,
    django_assert_max_num_queries: Any,
) -> None:
    settings.IMAGECATALOG_METRICS_PROJECTS = 100
    with django_assert_max_num_queries(25) as first:
        read()
    for status in ("active", "queued", "saving"):
        make_image(status, owner=status)
    with django_assert_num_queries(len(first)):
        read()
