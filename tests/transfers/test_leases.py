from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images import errors, stores
from images.access import Caller
from images.models import Event, Image, Status, Transfer, TransferStatus
from images.transfers import heartbeat, leases, reaper
from images.transfers.workers import this_worker

LONG_AGO = "2000-01-01T00:00:00Z"
DEAD = f"{this_worker()}0"  # began at another time than the process that has its number
WORKER = "import django; django.setup(); from images.transfers.workers import this_worker; print(this_worker())"


@pytest.mark.parametrize("status", ["saving", "importing"])
def test_an_image_whose_worker_died_is_queued_again(
    status: str, make_image: Any
) -> None:
    image = make_image(status=status)
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    assert len(reaper.reap()) == 1

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED
    assert Transfer.objects.get().error_code == "lease-expired"
    assert Event.objects.get().interface == "worker"


def test_a_staged_upload_may_pause_until_its_deadline(make_image: Any) -> None:
    image = make_image(status="uploading")
    Transfer.objects.update(heartbeat_at=LONG_AGO)
    assert reaper.reap() == []

    Transfer.objects.update(deadline=LONG_AGO)
    assert len(reaper.reap()) == 1

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED


def test_an_upload_of_api_v1_whose_worker_died_is_killed(make_image: Any) -> None:
    image = make_image(status="saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO, status_on_failure=Status.KILLED)

    reaper.reap()

    assert Image.objects.get(pk=image.pk).status == Status.KILLED


def test_a_transfer_with_a_heartbeat_is_left_alone(make_image: Any) -> None:
    make_image(status="saving")

    assert reaper.reap() == []

    assert Transfer.objects.get().status == TransferStatus.RUNNING


def test_a_transfer_that_has_beaten_since_it_was_looked_at_is_left_alone(
    make_image: Any, admin: Caller
) -> None:
    make_image(status="saving")
    seen = Transfer.objects.get()
    heartbeat.send(Transfer.objects.get())

    ended = leases.abort(seen, errors.LeaseExpired("silent"), admin, if_unchanged=True)

    assert not ended
    assert Transfer.objects.get().status == TransferStatus.RUNNING


def test_the_bytes_of_a_dead_transfer_go(make_image: Any, data_dir: Path) -> None:
    make_image(status="saving")
    transfer = Transfer.objects.get()
    stores.default().put(transfer.key, [b"half an image"])
    Transfer.objects.update(worker=DEAD)

    reaper.reap()

    assert list(stores.default().keys()) == []


def test_those_of_one_whose_process_may_only_have_stalled_go_a_lease_after_its_end(
    make_image: Any,
) -> None:
    make_image(status="saving")
    stores.default().put(Transfer.objects.get().key, [b"half an image"])
    Transfer.objects.update(worker="elsewhere/1/1", heartbeat_at=LONG_AGO)

    assert len(reaper.reap()) == 1
    reaper.reap()
    assert len(list(stores.default().keys())) == 1
    assert not Transfer.objects.get().cleaned

    Transfer.objects.update(heartbeat_at=LONG_AGO)
    reaper.reap()
    assert list(stores.default().keys()) == []
    assert Transfer.objects.get().cleaned


def test_the_part_file_of_a_dead_transfer_goes(make_image: Any, data_dir: Path) -> None:
    make_image(status="saving")
    transfer = Transfer.objects.get()
    part = data_dir / "images" / f"{transfer.key}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half an image")
    Transfer.objects.update(worker=DEAD)

    reaper.reap()

    assert list(stores.default().keys()) == []


def test_what_could_not_be_cleaned_is_cleaned_in_a_later_round(
    make_image: Any, data_dir: Path, settings: Any
) -> None:
    make_image(status="saving")
    Transfer.objects.update(worker=DEAD)
    reachable = settings.IMAGECATALOG_STORES
    settings.IMAGECATALOG_STORES = f"other=file://{data_dir}/other"
    reaper.reap()
    assert not Transfer.objects.get().cleaned

    settings.IMAGECATALOG_STORES = reachable
    reaper.reap()

    assert Transfer.objects.get().cleaned


def test_an_image_that_was_deleted_meanwhile_stays_deleted(make_image: Any) -> None:
    image = make_image(status="saving")
    Image.objects.filter(pk=image.pk).delete()
    image = make_image(status="deleted", deleted_at=timezone.now())
    Transfer.objects.create(
        image=image, kind="upload", store="local", key="ab/x.1", heartbeat_at=LONG_AGO
    )

    reaper.reap()

    assert Image.objects.get(pk=image.pk).status == Status.DELETED


def test_a_transfer_of_a_dead_process_of_this_machine_is_not_waited_for(
    make_image: Any,
) -> None:
    image = make_image(status="saving")
    child = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=True
    )
    Transfer.objects.update(worker=child.stdout.strip())

    reaper.reap()

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED


def test_a_transfer_of_a_living_process_is_waited_for(make_image: Any) -> None:
    make_image(status="saving")
    Transfer.objects.update(worker=this_worker())

    assert reaper.reap() == []


def test_a_transfer_beyond_its_deadline_is_ended(make_image: Any) -> None:
    make_image(status="saving")
    Transfer.objects.update(worker=this_worker(), deadline=LONG_AGO)

    (ended,) = reaper.reap()

    assert "longer than" in Transfer.objects.get(pk=ended.pk).error
