"""Uploads that pause: what has arrived stays, one sender at a time, and an end that needs no client."""

from __future__ import annotations

import gc
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from images import errors, lifecycle, stores, uploads
from images.access import Caller
from images.attributes import Changes
from images.models import (
    ChunkStatus,
    Event,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.operations import consistency, manual_transitions, purge, repair
from images.stores.local import LocalStore
from images.transfers import object_removal, reaper
from images.transfers.workers import this_worker
from images.uploads import chunk_writing, receiving

LONG_AGO = "2000-01-01T00:00:00Z"
DATA = os.urandom(1000)
Begin = Callable[..., Transfer]
Send = Callable[..., Transfer]


@pytest.fixture
def begin(db: None, member: Caller) -> Begin:
    """``begin()``: an upload of DATA into a new image."""

    def begin(size: int = len(DATA), **fields: Any) -> Transfer:
        formats = {"disk_format": "raw", "container_format": "bare"}
        owned = {"owner": member.project} | formats | fields
        image = lifecycle.create(owned, {}, [], member)
        return uploads.begin(image.pk, size, member)

    return begin


@pytest.fixture
def upload(begin: Begin) -> Transfer:
    """An upload of DATA of which nothing has come."""
    return begin()


@pytest.fixture
def send(member: Caller) -> Send:
    """``send(upload, offset, *blocks)``: one request of the member with this data."""

    def send(upload: Transfer, offset: int, *blocks: bytes) -> Transfer:
        return uploads.append(upload.image_id, str(upload.pk), offset, blocks, member)

    return send


def test_bytes_of_resumable_uploads_are_counted_by_interface_and_store(
    send: Send, upload: Transfer, counts: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    send_halves(send, upload)

    assert counts()["upload_bytes_total", "test", "local"] == len(DATA)


def send_halves(send: Send, upload: Transfer) -> None:
    """Send two chunks, which the import writes into an object of its own."""
    send(upload, 0, DATA[:500])
    send(upload, 500, DATA[500:])


def broken(*blocks: bytes) -> Iterator[bytes]:
    """A sender that vanishes."""
    yield from blocks
    raise errors.BodyIncomplete("gone")


def status(upload: Transfer) -> str:
    return Image.objects.get(pk=upload.image_id).status


def data(upload: Transfer) -> bytes:
    return b"".join(lifecycle.read(upload.image_id))


def keys() -> list[str]:
    return [key for key, _ in stores.default().keys()]


def assert_nothing_is_left(upload: Transfer) -> None:
    assert status(upload) == Status.QUEUED
    assert keys() == []
    assert not UploadChunk.objects.exists()


def test_a_full_chunk_leaves_none_of_its_sender_in_memory(
    begin: Begin, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)
    upload = begin()
    sender = (DATA[start : start + 50] for start in range(0, 100, 50))
    gone = weakref.ref(sender)

    gc.disable()
    try:
        uploads.append(
            upload.image_id, str(upload.pk), 0, sender, member, announced=100
        )
        del sender
        assert gone() is None
    finally:
        gc.enable()


def test_an_upload_in_chunks_ends_as_an_active_image(
    upload: Transfer, send: Send
) -> None:
    assert status(upload) == Status.UPLOADING

    assert send(upload, 0, DATA[:10]).bytes_received == 10
    assert send(upload, 10, DATA[10:300], DATA[300:400])
    done = send(upload, 400, DATA[400:])

    assert (status(upload), data(upload)) == (Status.ACTIVE, DATA)
    assert (done.status, done.bytes_received) == (TransferStatus.DONE, len(DATA))
    assert len(keys()) == 1
    assert not UploadChunk.objects.exists()
    events = Event.objects.values_list("verb", "to_status")
    assert list(events) == [
        ("create", "queued"),
        ("stage", "uploading"),
        ("import", "importing"),
        ("receive", "active"),
    ]


def digests(data: bytes) -> dict[str, str]:
    return {"sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest()}


def test_bytes_with_a_digest_count_only_together(
    upload: Transfer, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)
    blocks = [DATA[start : start + 30] for start in range(0, len(DATA), 30)]
    where = upload.image_id, str(upload.pk), 0

    with pytest.raises(errors.BodyIncomplete):
        uploads.append(
            *where, broken(*blocks[:9]), member, expected_digests=digests(DATA)
        )
    assert (keys(), UploadChunk.objects.count()) == ([], 0)

    uploads.append(*where, blocks, member, expected_digests=digests(DATA))
    assert data(upload) == DATA


def test_a_sender_that_vanishes_behind_bytes_with_their_digest_has_sent_them(
    upload: Transfer, member: Caller
) -> None:
    where = upload.image_id, str(upload.pk), 0
    part = DATA[:300]

    with pytest.raises(errors.BodyIncomplete):
        uploads.append(*where, broken(part), member, expected_digests=digests(part))

    assert uploads.find(*where[:2]).bytes_received == 300


def test_a_long_request_whose_bytes_count_together_stays_alive(
    upload: Transfer, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving.heartbeat, "interval", lambda: -1.0)
    seen = []

    def blocks() -> Iterator[bytes]:
        for block in (DATA[:500], DATA[500:]):
            Transfer.objects.update(heartbeat_at=LONG_AGO, deadline=timezone.now())
            yield block
            row = Transfer.objects.filter(pk=upload.pk)
            seen.append(row.values_list("heartbeat_at", "bytes_received").get())

    uploads.append(
        upload.image_id,
        str(upload.pk),
        0,
        blocks(),
        member,
        expected_digests=digests(DATA),
    )

    assert all(beat > timezone.now() - timedelta(minutes=1) for beat, _ in seen)
    assert [received for _, received in seen] == [0, 0]
    assert data(upload) == DATA


def test_a_chunk_that_is_damaged_in_its_store_does_not_become_an_image(
    upload: Transfer, send: Send, data_dir: Path
) -> None:
    send(upload, 0, DATA[:600])
    (path,) = (data_dir / "images").rglob(f"*{upload.image_id}*")
    path.write_bytes(DATA[1:600] + b"?")

    with pytest.raises(errors.StoreError, match="damaged in its store"):
        send(upload, 600, DATA[600:])

    assert_nothing_is_left(upload)
    failed = Transfer.objects.get(pk=upload.pk)
    assert failed.error_code == "chunk-damaged"


def test_a_chunk_of_an_earlier_release_has_no_digest(
    upload: Transfer, send: Send
) -> None:
    send(upload, 0, DATA[:600])
    UploadChunk.objects.update(digest="")

    send(upload, 600, DATA[600:])

    assert data(upload) == DATA


def test_an_upload_of_no_bytes_is_whole_at_once(begin: Begin) -> None:
    upload = begin(0)

    assert (status(upload), data(upload)) == (Status.ACTIVE, b"")


def test_what_a_sender_sent_before_it_vanished_is_kept(
    upload: Transfer, send: Send, member: Caller
) -> None:
    with pytest.raises(errors.BodyIncomplete):
        uploads.append(
            upload.image_id, str(upload.pk), 0, broken(DATA[:7], DATA[7:9]), member
        )

    assert uploads.find(upload.image_id, str(upload.pk)).bytes_received == 9
    send(upload, 9, DATA[9:])
    assert data(upload) == DATA


def test_a_sender_that_vanishes_behind_the_last_byte_has_sent_it_all(
    upload: Transfer, member: Caller
) -> None:
    uploads.append(upload.image_id, str(upload.pk), 0, broken(DATA), member)

    assert data(upload) == DATA


def test_a_large_request_is_cut_into_chunks_each_of_which_counts(
    upload: Transfer, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)

    blocks = broken(*(DATA[start : start + 30] for start in range(0, 300, 30)))
    with pytest.raises(errors.BodyIncomplete):
        uploads.append(upload.image_id, str(upload.pk), 0, blocks, member)

    sizes = UploadChunk.objects.order_by("start").values_list("start", "size", "status")
    assert list(sizes) == [
        (0, 120, "stored"),
        (120, 120, "stored"),
        (240, 60, "stored"),
    ]


@pytest.mark.parametrize("offset", [0, 5, 11, 1000, 2**62])
def test_it_goes_on_at_the_byte_where_it_stopped_and_at_no_other(
    upload: Transfer, send: Send, offset: int
) -> None:
    send(upload, 0, DATA[:10])

    with pytest.raises(errors.Conflict, match="at byte 10, not at"):
        send(upload, offset, b"x")

    assert len(keys()) == 1


def test_an_upload_in_too_many_small_chunks_is_refused_more_and_can_be_given_up(
    upload: Transfer, send: Send, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SMALL_CHUNKS", 3)
    for offset in range(3):
        send(upload, offset, DATA[offset : offset + 1])

    with pytest.raises(errors.OverLimit, match="begin again"):
        send(upload, 3, DATA[3:])

    assert (status(upload), UploadChunk.objects.count()) == (Status.UPLOADING, 3)
    uploads.terminate(upload.image_id, str(upload.pk), member)
    assert_nothing_is_left(upload)


def test_a_large_upload_has_as_many_chunks_as_its_size_needs(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SMALL_CHUNKS", 1)
    monkeypatch.setattr(receiving, "SMALL", 100)
    monkeypatch.setattr(object_removal, "BATCH", 3)

    for start in range(0, len(DATA), 100):
        send(upload, start, DATA[start : start + 100])

    assert data(upload) == DATA
    assert not UploadChunk.objects.exists()
    assert len(keys()) == 1


def test_more_than_was_said_is_refused_and_what_came_before_stays(
    upload: Transfer, send: Send
) -> None:
    send(upload, 0, DATA[:10])

    with pytest.raises(errors.OverLimit):
        send(upload, 10, DATA[10:], b"x")

    assert uploads.find(upload.image_id, str(upload.pk)).bytes_received == 10
    send(upload, 10, DATA[10:])
    assert data(upload) == DATA


def test_more_than_was_said_is_refused_before_it_comes_where_that_is_known(
    upload: Transfer, member: Caller
) -> None:
    with pytest.raises(errors.OverLimit):
        uploads.append(
            upload.image_id, str(upload.pk), 0, broken(), member, announced=1001
        )


def test_an_image_above_the_cap_is_refused_at_once(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 10
    image = make_image()

    with pytest.raises(errors.OverLimit):
        uploads.begin(image.pk, 11, member)

    assert Image.objects.get().status == Status.QUEUED


@pytest.mark.parametrize("other", [one for one in Status if one != Status.QUEUED])
def test_only_a_queued_image_takes_an_upload(
    other: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status=other)

    with pytest.raises((errors.Conflict, errors.NotFound)):
        uploads.begin(image.pk, 1, member)

    assert Image.objects.get().status == other


def test_formats_must_be_set_before(make_image: Any, member: Caller) -> None:
    image = make_image(disk_format=None)

    with pytest.raises(errors.Invalid, match="disk_format"):
        uploads.begin(image.pk, 1, member)


def test_a_pinned_image_is_refused_data_of_another_size_before_it_is_sent(
    make_image: Any, member: Caller
) -> None:
    image = make_image(pinned=True, size=5)

    with pytest.raises(errors.Conflict, match="5 bytes"):
        uploads.begin(image.pk, 6, member)


def test_a_pinned_image_takes_no_other_data(
    send: Send, make_image: Any, member: Caller
) -> None:
    image = make_image(pinned=True, size=5, checksum="0" * 32)
    upload = uploads.begin(image.pk, 5, member)

    with pytest.raises(errors.Conflict, match="other data"):
        send(upload, 0, b"12345")

    assert_nothing_is_left(upload)
    assert uploads.find(image.pk, str(upload.pk)).error_code == "conflict"


def test_wrong_data_is_refused_with_its_first_mebibyte(
    begin: Begin, send: Send
) -> None:
    upload = begin(10 << 20, disk_format="qcow2")

    with pytest.raises(errors.ContentRefused):
        send(upload, 0, bytes(2 << 20))

    assert_nothing_is_left(upload)
    with pytest.raises(errors.Gone):
        send(upload, 0, b"x")


def test_wrong_data_in_small_chunks_is_refused_at_the_end(
    begin: Begin, send: Send
) -> None:
    upload = begin(disk_format="qcow2")
    send(upload, 0, DATA[:10])

    with pytest.raises(errors.ContentRefused):
        send(upload, 10, DATA[10:])

    assert_nothing_is_left(upload)


# One sender at a time


def test_a_second_sender_is_told_to_wait(
    upload: Transfer, send: Send, member: Caller
) -> None:
    def first() -> Iterator[bytes]:
        yield DATA[:10]
        with pytest.raises(errors.Locked):
            send(upload, 0, b"x")
        yield DATA[10:]

    uploads.append(upload.image_id, str(upload.pk), 0, first(), member)

    assert data(upload) == DATA


def test_the_next_one_takes_the_slot_of_a_sender_that_died(
    upload: Transfer, send: Send
) -> None:
    chunk = UploadChunk.objects.create(transfer=upload, start=0, key="ab/half.1")
    stores.default().put(chunk.key, [b"half a chunk"])
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    send(upload, 0, DATA)

    assert data(upload) == DATA
    assert len(keys()) == 1


def test_a_sender_whose_slot_was_taken_changes_nothing(
    upload: Transfer, send: Send, member: Caller
) -> None:
    def late() -> Iterator[bytes]:
        yield b"x" * 10
        Transfer.objects.update(heartbeat_at=LONG_AGO)
        send(upload, 0, DATA[:500])

    with pytest.raises(errors.Gone):
        uploads.append(upload.image_id, str(upload.pk), 0, late(), member)

    send(upload, 500, DATA[500:])
    assert data(upload) == DATA
    assert len(keys()) == 1


@pytest.mark.django_db(transaction=True)
def test_of_senders_that_come_at_once_exactly_one_wins(
    upload: Transfer, send: Send
) -> None:
    start, outcome = threading.Barrier(6), []

    def race() -> None:
        start.wait()
        try:
            send(upload, 0, DATA)
            outcome.append("won")
        except errors.Conflict:
            outcome.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcome) == ["refused"] * 5 + ["won"]
    assert data(upload) == DATA
    assert list(consistency.check(read_bytes=True)) == []


# Ends


def test_what_is_given_up_leaves_nothing(
    upload: Transfer, send: Send, member: Caller
) -> None:
    send(upload, 0, DATA[:10])

    uploads.terminate(upload.image_id, str(upload.pk), member)

    assert_nothing_is_left(upload)
    with pytest.raises(errors.Gone):
        uploads.terminate(upload.image_id, str(upload.pk), member)


def test_a_complete_upload_cannot_be_given_up(
    upload: Transfer, send: Send, member: Caller
) -> None:
    send(upload, 0, DATA)

    with pytest.raises(errors.Conflict):
        uploads.terminate(upload.image_id, str(upload.pk), member)

    assert data(upload) == DATA


@pytest.mark.parametrize(
    "end",
    [
        lambda upload, actor: uploads.terminate(upload.image_id, str(upload.pk), actor),
        lambda upload, actor: lifecycle.delete(upload.image_id, actor),
        lambda upload, actor: manual_transitions.transition_to(
            upload.image_id, "queued", actor, "why"
        ),
    ],
    ids=["given up", "image deleted", "ended by an operator"],
)
def test_a_sender_whose_upload_is_ended_leaves_nothing(
    upload: Transfer, send: Send, end: Any, member: Caller
) -> None:
    send(upload, 0, DATA[:10])

    def blocks() -> Iterator[bytes]:
        yield b"x"
        end(upload, member)
        yield b"y"

    with pytest.raises(errors.Gone):
        uploads.append(upload.image_id, str(upload.pk), 10, blocks(), member)

    Transfer.objects.update(heartbeat_at=LONG_AGO)
    reaper.reap()
    assert keys() == []
    assert not UploadChunk.objects.exists()
    assert Transfer.objects.get().cleaned
    assert list(consistency.check()) == []


def test_an_upload_that_is_not_continued_ends_with_its_deadline(
    upload: Transfer, send: Send
) -> None:
    send(upload, 0, DATA[:10])
    Transfer.objects.update(heartbeat_at=LONG_AGO)
    assert reaper.reap() == []
    assert list(consistency.check()) == []

    Transfer.objects.update(deadline=LONG_AGO)
    reaper.reap()

    assert_nothing_is_left(upload)
    assert "not resumed in time" in Transfer.objects.get().error


def test_each_byte_moves_the_deadline(upload: Transfer, send: Send) -> None:
    Transfer.objects.update(deadline=LONG_AGO)

    after = send(upload, 0, b"x")

    assert after.deadline is not None
    assert after.deadline > timezone.now()


@pytest.mark.parametrize("nothing", [tuple, broken], ids=["empty", "cut off"])
@pytest.mark.parametrize("deadline", [LONG_AGO, "2999-01-01T00:00:00Z"])
def test_a_request_without_a_byte_prolongs_nothing(
    upload: Transfer, nothing: Any, deadline: str, member: Caller
) -> None:
    Transfer.objects.update(deadline=deadline)

    with suppress(errors.BodyIncomplete):
        uploads.append(upload.image_id, str(upload.pk), 0, nothing(), member)

    assert Transfer.objects.filter(deadline=deadline).exists()


@pytest.fixture
def found_expired(upload: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reaper has looked at the upload, and has not ended it yet."""
    Transfer.objects.update(deadline=LONG_AGO)
    found = reaper.dead_transfers()
    monkeypatch.setattr(reaper, "dead_transfers", lambda: found)


def test_a_request_without_a_byte_does_not_keep_an_upload_from_its_end(
    upload: Transfer, send: Send, found_expired: None
) -> None:
    send(upload, 0)

    assert reaper.reap() == [upload]
    assert_nothing_is_left(upload)


def test_an_upload_is_not_ended_that_was_continued_since_it_was_looked_at(
    upload: Transfer, send: Send, found_expired: None
) -> None:
    send(upload, 0, DATA[:1])

    assert reaper.reap() == []
    assert status(upload) == Status.UPLOADING


def test_in_its_last_moment_it_is_not_ended_while_somebody_sends(
    upload: Transfer, member: Caller
) -> None:
    def blocks() -> Iterator[bytes]:
        yield DATA[:10]
        assert reaper.reap() == []
        yield DATA[10:]

    Transfer.objects.update(deadline=timezone.now() + timedelta(milliseconds=1))
    uploads.append(upload.image_id, str(upload.pk), 0, blocks(), member)

    assert data(upload) == DATA


def test_what_the_project_has_no_room_for_is_refused_before_it_is_sent(
    begin: Begin, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA) + 1
    begin()

    with pytest.raises(errors.OverLimit):
        begin()


def test_what_the_project_has_no_room_for_any_more_is_refused_in_the_end(
    upload: Transfer, send: Send, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA) - 1

    with pytest.raises(errors.OverLimit):
        send(upload, 0, DATA)

    assert_nothing_is_left(upload)


def test_a_store_that_is_gone_holds_no_slot(
    upload: Transfer, send: Send, settings: Any
) -> None:
    there = settings.IMAGECATALOG_STORES
    settings.IMAGECATALOG_STORES = there.replace("local=", "other=")
    with pytest.raises(errors.StoreError):
        send(upload, 0, DATA)

    settings.IMAGECATALOG_STORES = there
    send(upload, 0, DATA)
    assert data(upload) == DATA


def test_chunks_of_a_running_upload_are_no_orphans(
    upload: Transfer, send: Send
) -> None:
    send(upload, 0, DATA[:10])

    assert list(consistency.check()) == []
    with pytest.raises(errors.Conflict):
        repair.remove_orphan("local", UploadChunk.objects.get().key)


# From staged data to an image


def fail_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    put, failures = LocalStore.put, [error]

    def failing(self: LocalStore, key: str, *data: Any) -> None:
        if failures and Transfer.objects.filter(key=key).exists():
            raise failures.pop()
        put(self, key, *data)

    monkeypatch.setattr(LocalStore, "put", failing)


def test_the_worker_finishes_what_a_failing_store_has_left_undone(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, errors.StoreFull("full"))
    with pytest.raises(errors.StoreFull):
        send_halves(send, upload)
    assert status(upload) == Status.IMPORTING
    assert uploads.finish_waiting() == []  # not at once

    Transfer.objects.filter(kind=TransferKind.IMPORT).update(ended_at=LONG_AGO)
    assert uploads.finish_waiting() == [upload.image_id]

    assert (status(upload), data(upload)) == (Status.ACTIVE, DATA)
    assert len(keys()) == 1
    assert list(consistency.check(read_bytes=True)) == []


def test_each_failure_doubles_the_pause_before_the_next_attempt(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, errors.StoreFull("full"))
    with pytest.raises(errors.StoreFull):
        send_halves(send, upload)
    (failed,) = Transfer.objects.filter(kind=TransferKind.IMPORT)
    ended = timezone.now() - timedelta(seconds=12)
    for pk in (failed.pk, *(uuid4() for _ in range(4))):
        failed.pk, failed.ended_at = pk, ended
        failed.save()
    assert uploads.finish_waiting() == []  # after the fifth one: 16 seconds

    failed.delete()
    assert uploads.finish_waiting() == [upload.image_id]


def test_attempts_of_an_upload_before_do_not_count(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, errors.StoreFull("full"))
    with pytest.raises(errors.StoreFull):
        send_halves(send, upload)
    Transfer.objects.filter(kind=TransferKind.IMPORT).update(started_at=LONG_AGO)
    assert uploads.finish_waiting() == []  # it lives

    Transfer.objects.filter(pk=upload.pk).update(heartbeat_at=LONG_AGO)
    assert uploads.finish_waiting() == [upload.image_id]


def test_one_question_finds_out_which_uploads_are_due(
    make_image: Any, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        make_image("uploading")
    Transfer.objects.update(bytes_expected=1, bytes_received=1)

    with django_assert_num_queries(1):
        assert uploads.finish_waiting() == []


def test_formats_stay_while_the_data_is_inspected_as_what_they_say(
    upload: Transfer, send: Send, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, refusals = LocalStore.put, []
    changes = Changes({"disk_format": "qcow2"})

    def put_meanwhile(self: LocalStore, key: str, *data: Any) -> None:
        if Transfer.objects.filter(key=key).exists():
            with pytest.raises(errors.Forbidden, match="disk_format") as refused:
                lifecycle.update(upload.image_id, changes, member)
            refusals.append(refused)
        put(self, key, *data)

    monkeypatch.setattr(LocalStore, "put", put_meanwhile)
    send_halves(send, upload)

    assert len(refusals) == 1
    image = Image.objects.get()
    assert (image.status, image.disk_format) == (Status.ACTIVE, "raw")


def test_formats_that_are_changed_between_two_attempts_hold_for_the_next_one(
    upload: Transfer, send: Send, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, errors.StoreFull("full"))
    with pytest.raises(errors.StoreFull):
        send_halves(send, upload)
    lifecycle.update(upload.image_id, Changes({"disk_format": "qcow2"}), member)

    with pytest.raises(errors.ContentRefused):
        uploads.finish(upload, member)

    assert_nothing_is_left(upload)


def test_formats_that_are_unset_between_two_attempts_end_the_upload(
    upload: Transfer, send: Send, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, errors.StoreFull("full"))
    with pytest.raises(errors.StoreFull):
        send_halves(send, upload)
    unset = Changes({"disk_format": None, "container_format": None})
    lifecycle.update(upload.image_id, unset, member)

    with pytest.raises(errors.Invalid, match="disk_format"):
        uploads.finish(upload, member)

    assert_nothing_is_left(upload)


def test_the_worker_finishes_for_a_process_that_died_before_it_began(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "finish", lambda *_: None)
        send(upload, 0, DATA)
    assert status(upload) == Status.UPLOADING
    assert uploads.finish_waiting() == []  # it lives

    Transfer.objects.update(heartbeat_at=LONG_AGO)
    assert uploads.finish_waiting() == [upload.image_id]
    assert data(upload) == DATA


def test_an_upload_that_nobody_can_finish_keeps_the_worker_from_no_other(
    begin: Begin, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = begin(), begin()
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "finish", lambda *_: None)
        for upload in both:
            send_halves(send, upload)
    Transfer.objects.update(heartbeat_at=LONG_AGO)
    fail_once(monkeypatch, RuntimeError("what nobody thought of"))

    assert len(uploads.finish_waiting()) == 1

    found = sorted(status(upload) for upload in both)
    assert found == [Status.ACTIVE, Status.IMPORTING]


def test_the_worker_finishes_for_a_process_that_died_meanwhile(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "finish", lambda *_: None)
        send(upload, 0, DATA)
    image = Image.objects.get()
    Image.objects.filter(pk=image.pk).update(status=Status.IMPORTING)
    attempt = Transfer.objects.create(
        image=image,
        kind=TransferKind.IMPORT,
        store="local",
        key="ab/attempt.1",
        worker=this_worker(),
        status_on_failure=Status.IMPORTING,
    )
    stores.default().put(attempt.key, [DATA])
    assert uploads.finish_waiting() == []

    died = f"{this_worker()}0"  # began at another time than the one with its number
    Transfer.objects.filter(pk=attempt.pk).update(worker=died)
    assert reaper.reap() == [attempt]
    assert status(upload) == Status.IMPORTING
    Transfer.objects.filter(pk=attempt.pk).update(ended_at=LONG_AGO)
    assert uploads.finish_waiting() == [upload.image_id]

    assert data(upload) == DATA
    assert len(keys()) == 1


def test_staged_data_that_is_lost_ends_the_upload(upload: Transfer, send: Send) -> None:
    send(upload, 0, DATA[:10])
    stores.default().delete(UploadChunk.objects.get().key)

    with pytest.raises(errors.DataMissing):
        send(upload, 10, DATA[10:])

    assert_nothing_is_left(upload)


def test_an_attempt_whose_upload_was_ended_does_not_become_an_image(
    upload: Transfer, send: Send, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalStore.put

    def late(self: LocalStore, key: str, *data: Any) -> None:
        put(self, key, *data)
        if Transfer.objects.filter(key=key).exists():
            manual_transitions.fail(upload.image_id, member)
            Image.objects.update(status=Status.SAVING)  # somebody else's upload

    monkeypatch.setattr(LocalStore, "put", late)
    with pytest.raises(errors.Gone):
        send_halves(send, upload)

    assert status(upload) == Status.SAVING
    assert keys() == []


def test_what_could_not_be_removed_is_removed_later(
    upload: Transfer, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(upload, 0, DATA[:10])

    def failing(self: LocalStore, key: str, *, abandoned: bool = False) -> None:
        raise errors.StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", failing)
        send(upload, 10, DATA[10:])
    assert status(upload) == Status.ACTIVE
    assert UploadChunk.objects.filter(status=ChunkStatus.STORED).count() == 2
    assert list(consistency.check()) == []

    reaper.reap()

    assert len(keys()) == 1
    assert not UploadChunk.objects.exists()


def test_an_image_with_chunks_left_is_not_purged(
    upload: Transfer, send: Send, member: Caller
) -> None:
    send(upload, 0, DATA[:10])
    lifecycle.delete(upload.image_id, member)
    soon = timezone.now() + timedelta(days=1)
    Transfer.objects.update(cleaned=True)

    assert purge.purge_deleted(soon) == []
    UploadChunk.objects.all().delete()
    assert purge.purge_deleted(soon) == [upload.image_id]


# Small requests


@pytest.fixture
def rarely(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests with less than 100 bytes are small, and 10 of them come at once."""
    settings.IMAGECATALOG_SMALL_CHUNK_RATE = 1
    monkeypatch.setattr(receiving, "SMALL_REQUEST", 100)


@pytest.mark.usefixtures("rarely")
def test_small_requests_that_come_too_often_are_refused_and_keep_nothing(
    upload: Transfer, send: Send
) -> None:
    for offset in range(10):
        send(upload, offset, b"x")

    with pytest.raises(errors.TooManyRequests, match="Send more in each"):
        send(upload, 10, b"x")

    assert UploadChunk.objects.count() == len(keys()) == 10
    upload.refresh_from_db()
    assert upload.bytes_received == 10
    send(upload, 10, bytes(100))


@pytest.mark.usefixtures("rarely")
def test_interrupted_requests_count_as_small_ones(
    upload: Transfer, member: Caller
) -> None:
    def send(offset: int) -> None:
        sender = broken(b"x")
        uploads.append(upload.image_id, str(upload.pk), offset, sender, member)

    for offset in range(10):
        with pytest.raises(errors.BodyIncomplete):
            send(offset)

    with pytest.raises(errors.TooManyRequests):
        send(10)


@pytest.mark.usefixtures("rarely")
def test_uploads_of_a_project_share_the_rate_of_small_requests(
    begin: Begin, send: Send
) -> None:
    for _ in range(10):
        send(begin(), 0, b"x")

    with pytest.raises(errors.TooManyRequests):
        send(begin(), 0, b"x")


@pytest.mark.usefixtures("rarely")
def test_the_last_request_may_be_small(begin: Begin, send: Send) -> None:
    for _ in range(12):
        ended = begin(size=10)
        send(ended, 0, bytes(10))

        assert status(ended) == Status.ACTIVE


# How many at once


def test_a_project_has_only_so_many_uploads_at_once(
    begin: Begin, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 2
    first, _ = begin(), begin()

    with pytest.raises(errors.OverLimit, match="limit"):
        begin()
    uploads.terminate(first.image_id, str(first.pk), member)
    begin()


def test_a_whole_upload_counts_like_a_resumable_one(
    begin: Begin, make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image()
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 1
    begin()

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [DATA], member)

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED


def test_uploads_of_other_projects_do_not_count(
    begin: Begin, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 1
    make_image("uploading", owner="another")

    begin()
