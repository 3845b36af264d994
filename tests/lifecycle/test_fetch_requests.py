"""Copies from the web: a transfer that waits, is claimed once, and then lives like every other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from images import errors, history, lifecycle, min_rate, stores
from images.access import Caller
from images.attributes import Changes
from images.imports import queue
from images.lifecycle import Source
from images.models import Image, Transfer
from images.operations import consistency, manual_transitions
from images.transfers import reaper, usage
from tests.copies import waiting_copies
from tests.web import serving_files

pytestmark = pytest.mark.django_db

DATA = bytes(range(256)) * (3 << 12)  # 3 MiB


@pytest.fixture
def url(tmp_path: Path, settings: Any) -> Iterator[str]:
    with serving_files(tmp_path / "web", settings, image=DATA) as web:
        yield f"{web}/image"


@pytest.fixture
def waiting(url: str, db: None, member: Caller) -> UUID:
    """A copy that waits for a worker."""
    formats = {"disk_format": "raw", "container_format": "bare", "owner": "project-a"}
    lifecycle.create(formats, {}, [], member, copied=Source(url))
    (transfer_id,) = waiting_copies()
    return transfer_id


def state() -> tuple[str, list[str]]:
    """The status of the only image, and what its store holds."""
    return Image.objects.get().status, [key for key, _ in stores.default().keys()]


def nothing_is_wrong() -> bool:
    return list(consistency.check(read_bytes=True)) == []


def test_a_copy_waits_and_owns_nothing_yet(waiting: UUID) -> None:
    transfer = Transfer.objects.get()

    assert (transfer.kind, transfer.status, transfer.worker) == ("copy", "waiting", "")
    assert transfer.bytes_expected == len(DATA)
    assert state() == ("queued", [])
    assert reaper.reap() == []
    assert history.last_error(transfer.image_id) is None


def test_a_web_download_under_way_counts_as_staged(
    waiting: UUID, url: str, member: Caller, settings: Any
) -> None:
    assert usage.of("project-a")["image_stage_total"] == len(DATA)
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 2 * len(DATA) - 1
    formats = {"disk_format": "raw", "container_format": "bare", "owner": "project-a"}

    with pytest.raises(errors.QuotaExceeded, match="it uses 3145728,"):
        lifecycle.create(formats, {}, [], member, copied=Source(url))

    assert queue.carry_out(waiting)
    assert usage.of("project-a")["image_stage_total"] == 0


def test_a_copy_is_fetched_by_one_worker_only(waiting: UUID) -> None:
    assert queue.carry_out(waiting)
    assert not queue.carry_out(waiting)

    image = Image.objects.get()
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert Transfer.objects.get().status == "done"
    assert waiting_copies() == []


def test_a_copy_of_a_deleted_image_is_not_fetched(
    waiting: UUID, member: Caller
) -> None:
    lifecycle.delete(Transfer.objects.get().image_id, member)

    assert waiting_copies() == []
    assert not queue.carry_out(waiting)
    assert state() == ("deleted", [])


def test_deleting_the_image_ends_the_copy(waiting: UUID, member: Caller) -> None:
    image_id = Transfer.objects.get().image_id
    deletions = iter([lambda: lifecycle.delete(image_id, member)])

    def delete_once() -> bool:
        next(deletions, lambda: None)()
        return False

    with pytest.raises(errors.Gone):
        queue.carry_out(waiting, delete_once)

    assert state() == ("deleted", [])


def test_a_worker_that_stops_leaves_the_copy_to_the_next_one(waiting: UUID) -> None:
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting, lambda: True)

    assert state() == ("queued", [])
    (again,) = waiting_copies()
    assert again != waiting
    assert queue.carry_out(again)
    assert state()[0] == "active"


def test_a_worker_that_dies_while_it_stops_leaves_the_copy_too(
    waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str) -> None:
        if point == "data.ended":
            raise KeyboardInterrupt

    monkeypatch.setattr("images.transfers.leases.failpoint", die)
    with pytest.raises(KeyboardInterrupt):
        queue.carry_out(waiting, lambda: True)

    before = Transfer.objects.get(pk=waiting)
    (again,) = Transfer.objects.filter(pk__in=waiting_copies())
    assert again.pk != waiting
    for name in ("source", "bytes_expected", "checksum", "store", "status_on_failure"):
        assert getattr(again, name) == getattr(before, name)
    assert state()[0] == "queued"
    assert nothing_is_wrong()


def test_a_copy_that_was_ended_by_hand_does_not_wait_again(
    waiting: UUID, admin: Caller
) -> None:
    image_id = Transfer.objects.get().image_id

    def end() -> bool:
        manual_transitions.transition_to(image_id, "killed", admin, "too slow")
        return True

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting, end)

    assert state() == ("killed", [])
    assert waiting_copies() == []


def test_a_worker_that_died_leaves_a_killed_image(
    waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("images.lifecycle.uploading._fail", lambda *args: True)
    with pytest.raises(KeyboardInterrupt):
        queue.carry_out(waiting, die)
    assert state()[0] == "saving"

    Transfer.objects.update(worker="elsewhere", heartbeat_at="2000-01-01T00:00:00Z")
    (ended,) = reaper.reap()

    assert ended.pk == waiting
    assert state() == ("killed", [])
    assert nothing_is_wrong()


def test_an_operator_ends_a_copy_that_runs(
    waiting: UUID, monkeypatch: pytest.MonkeyPatch, admin: Caller
) -> None:
    image_id = Transfer.objects.get().image_id

    def end() -> bool:
        if Image.objects.get().status == "saving":
            assert manual_transitions.possible_transitions(image_id) == {
                "killed": "fail",
                "deleted": "delete",
            }
            manual_transitions.transition_to(image_id, "killed", admin, "too slow")
        return False

    with pytest.raises(errors.Gone):
        queue.carry_out(waiting, end)

    assert state() == ("killed", [])


def test_a_copy_is_not_fetched_when_the_filter_refuses_it_by_now(
    waiting: UUID, settings: Any
) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()

    with pytest.raises(errors.Invalid):
        queue.carry_out(waiting)

    assert state() == ("killed", [])


def test_a_copy_is_too_large_before_or_after_the_source_says_so(
    url: str, make_image: Any, member: Caller, settings: Any, waiting: UUID
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 1 << 20

    with pytest.raises(errors.OverLimit):
        lifecycle.request_fetch(make_image().pk, Source(url), Changes(), member)
    with pytest.raises(errors.OverLimit):
        queue.carry_out(waiting)

    killed = Transfer.objects.get().image
    assert (killed.status, list(stores.default().keys())) == ("killed", [])


def test_a_source_that_is_far_too_slow_is_left(
    waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(min_rate, "PAUSE", -1e9)  # as if it had gone on for ages

    with pytest.raises(errors.StoreError, match="slowly"):
        queue.carry_out(waiting)

    assert Image.objects.get().status == "killed"


def test_the_history_does_not_tell_where_the_source_is(waiting: UUID, url: str) -> None:
    queue.carry_out(waiting)

    events = history.events(Image.objects.get().pk).events
    assert url not in str(events)
    assert {it["request_id"] for it in events} == {""}
    assert nothing_is_wrong()


def test_a_copy_whose_formats_were_unset_meanwhile_does_not_become_an_image(
    waiting: UUID, member: Caller
) -> None:
    image_id = Transfer.objects.get().image_id
    lifecycle.update(
        image_id, Changes({"disk_format": None, "container_format": None}), member
    )

    with pytest.raises(errors.Invalid, match="disk_format"):
        queue.carry_out(waiting)

    assert state() == ("killed", [])
    assert history.last_error(image_id) is not None
    assert nothing_is_wrong()


def test_a_copy_of_another_size_than_a_pin_asks_for_is_refused(
    url: str, make_image: Any, member: Caller
) -> None:
    image = make_image(pinned=True, size=5)

    with pytest.raises(errors.Conflict, match="5 bytes"):
        lifecycle.request_fetch(image.pk, Source(url), Changes(), member)

    assert Image.objects.get().size == 5
    assert not Transfer.objects.exists()


def test_a_pin_stays_when_other_bytes_are_fetched(
    url: str, make_image: Any, member: Caller
) -> None:
    image = make_image(pinned=True, size=len(DATA), checksum="0" * 32)
    lifecycle.request_fetch(image.pk, Source(url), Changes(), member)
    (waiting,) = waiting_copies()

    with pytest.raises(errors.Conflict, match="other data"):
        queue.carry_out(waiting)

    after = Image.objects.get()
    assert (state(), after.pinned) == (("queued", []), True)
    assert (after.size, after.checksum) == (image.size, image.checksum)


def test_an_image_that_was_pinned_while_its_copy_waited_is_not_killed_by_it(
    waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.objects.update(pinned=True, size=5)
    monkeypatch.setattr("images.lifecycle.uploading._fail", lambda *args: True)
    with pytest.raises(errors.Conflict):
        queue.carry_out(waiting)
    Transfer.objects.update(worker="elsewhere", heartbeat_at="2000-01-01T00:00:00Z")

    (ended,) = reaper.reap()

    assert ended.pk == waiting
    assert state() == ("queued", [])
