from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from images import errors, lifecycle
from images.access import Caller
from images.lifecycle import uploading
from images.models import Event, Status, Transfer, TransferStatus
from images.transfers import leases, reaper
from tests.rows import current

DATA = b"some bytes" * 1000


@pytest.fixture
def files(data_dir: Path) -> Callable[[], list[Path]]:
    """Return all files in the folder of the store, whatever their names."""

    def found() -> list[Path]:
        return [path for path in (data_dir / "images").glob("*/*") if path.is_file()]

    return found


def test_an_upload_makes_the_image_active(make_image: Any, member: Caller) -> None:
    image = make_image()

    lifecycle.upload(image.pk, [DATA], member)

    assert current(image).status == Status.ACTIVE
    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_an_upload_records_size_and_digests(make_image: Any, member: Caller) -> None:
    image = make_image()

    lifecycle.upload(image.pk, [DATA[:99], DATA[99:]], member)

    image = current(image)
    assert image.size == image.virtual_size == len(DATA)
    assert image.checksum == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    assert image.os_hash_algo == "sha512"
    assert image.os_hash_value == hashlib.sha512(DATA).hexdigest()


def test_bytes_of_clients_are_counted_by_interface_and_store_also_if_they_are_refused(
    make_image: Any, member: Caller, counts: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    lifecycle.upload(make_image().pk, [DATA[:99], DATA[99:]], member)
    with pytest.raises(errors.Invalid):
        lifecycle.upload(make_image().pk, [DATA], member, expected_checksum="0" * 32)

    assert counts()["upload_bytes_total", "test", "local"] == 2 * len(DATA)


def test_no_bytes_at_all_are_an_image_too(make_image: Any, member: Caller) -> None:
    image = make_image()

    lifecycle.upload(image.pk, [], member)

    assert current(image).status == Status.ACTIVE
    assert current(image).size == 0


def test_an_image_is_saving_while_its_data_arrives(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    seen = []

    def blocks() -> Iterator[bytes]:
        seen.append(current(image).status)
        yield DATA

    lifecycle.upload(image.pk, blocks(), member)

    assert seen == [Status.SAVING]


def test_a_second_upload_is_refused_while_one_is_under_way(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="saving")

    with pytest.raises(errors.Conflict):
        lifecycle.upload(image.pk, [DATA], member)

    assert current(image).status == Status.SAVING


def test_an_upload_without_formats_is_refused(make_image: Any, member: Caller) -> None:
    image = make_image(disk_format=None)

    with pytest.raises(errors.Invalid, match="disk_format"):
        lifecycle.upload(image.pk, [DATA], member)

    assert current(image).status == Status.QUEUED
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (len(DATA) + 1, r"Size mismatch: expected 10001 bytes, got 10000 bytes"),
        (len(DATA) - 1, r"Size exceeds: expected 9999 bytes"),
    ],
)
def test_another_size_than_announced_leaves_nothing_behind(
    size: int, sentence: str, make_image: Any, member: Caller, files: Any
) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid, match=sentence):
        lifecycle.upload(image.pk, [DATA], member, expected_size=size)

    assert current(image).status == Status.QUEUED
    assert current(image).size is None
    assert files() == []


def test_an_error_of_the_sender_comes_out_unchanged_and_leaves_nothing_behind(
    make_image: Any, member: Caller, files: Any
) -> None:
    image = make_image()

    def blocks() -> Iterator[bytes]:
        yield DATA
        raise errors.BodyIncomplete("The client went away.")

    with pytest.raises(errors.BodyIncomplete):
        lifecycle.upload(image.pk, blocks(), member)

    assert current(image).status == Status.QUEUED
    assert files() == []


def test_a_failed_upload_says_why(make_image: Any, member: Caller) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [DATA], member, expected_size=1)

    transfer = Transfer.objects.get()
    assert transfer.status == TransferStatus.FAILED
    assert transfer.error == "Size exceeds: expected 1 bytes."
    assert transfer.cleaned
    assert Event.objects.last().reason == transfer.error


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"expected_size": len(DATA) - 1}, "size-mismatch"),
        ({"expected_size": len(DATA) + 1}, "size-mismatch"),
        ({"expected_checksum": "0" * 32}, "digest-mismatch"),
        ({"expected_digests": {"sha256": "0" * 64}}, "digest-mismatch"),
    ],
)
def test_the_error_code_tells_which_claim_was_wrong(
    claim: dict[str, Any], code: str, make_image: Any, member: Caller
) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [DATA], member, **claim)

    assert Transfer.objects.get().error_code == code


def test_a_failed_upload_can_be_tried_again(make_image: Any, member: Caller) -> None:
    image = make_image()
    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [DATA], member, expected_size=1)

    lifecycle.upload(image.pk, [DATA], member)

    assert current(image).status == Status.ACTIVE


def test_an_upload_of_api_v1_that_fails_kills_the_image(
    make_image: Any, member: Caller
) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid):
        lifecycle.upload(
            image.pk, [DATA], member, expected_size=1, status_on_failure=Status.KILLED
        )

    assert current(image).status == Status.KILLED


def test_refused_content_leaves_nothing_behind(
    make_image: Any, member: Caller, files: Any
) -> None:
    image = make_image(disk_format="qcow2")

    with pytest.raises(errors.ContentRefused):
        lifecycle.upload(image.pk, [DATA], member)

    image = current(image)
    assert image.status == Status.QUEUED
    assert image.checksum is None
    assert not image.locations.exists()
    assert files() == []


def test_more_than_the_cap_is_refused_while_it_arrives(
    make_image: Any, member: Caller, files: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = len(DATA) - 1
    image = make_image()

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [DATA], member)

    assert files() == []


def test_an_announced_size_above_the_cap_is_refused_at_once(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 10
    image = make_image()

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [], member, expected_size=11)

    assert not Transfer.objects.exists()


def test_an_unknown_store_is_refused(make_image: Any, member: Caller) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid, match="nope"):
        lifecycle.upload(image.pk, [DATA], member, store_id="nope")

    assert current(image).status == Status.QUEUED


def test_the_read_only_store_is_refused(make_image: Any, member: Caller) -> None:
    image = make_image()

    with pytest.raises(errors.StoreReadOnly):
        lifecycle.upload(image.pk, [DATA], member, store_id="http")

    assert current(image).status == Status.QUEUED
    assert not Event.objects.exists()


def test_who_deletes_during_an_upload_wins(
    make_image: Any, member: Caller, files: Any
) -> None:
    image = make_image()

    def blocks() -> Iterator[bytes]:
        yield DATA
        lifecycle.delete(image.pk, member)

    with pytest.raises(errors.Gone):
        lifecycle.upload(image.pk, blocks(), member)

    assert current(image).status == Status.DELETED
    assert files() == []


def test_an_upload_notices_at_its_next_heartbeat_that_the_image_is_gone(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = 0
    image = make_image()
    sent = []

    def blocks() -> Iterator[bytes]:
        lifecycle.delete(image.pk, member)
        for number in range(100):
            sent.append(number)
            yield DATA

    with pytest.raises(errors.Gone):
        lifecycle.upload(image.pk, blocks(), member)

    assert len(sent) == 1


def test_a_heartbeat_tells_how_far_it_is(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = 0
    image = make_image()
    seen = []

    def blocks() -> Iterator[bytes]:
        yield DATA
        seen.append(Transfer.objects.get().bytes_received)

    lifecycle.upload(image.pk, blocks(), member)

    assert seen == [len(DATA)]


def test_a_late_loser_leaves_the_winners_bytes_alone(
    make_image: Any, member: Caller, files: Any
) -> None:
    image = make_image()

    def slow() -> Iterator[bytes]:
        yield b"the loser's bytes"
        # Its lease ran out, the image was queued again, and somebody else was faster.
        Transfer.objects.update(heartbeat_at="2000-01-01T00:00:00Z")
        reaper.reap()
        lifecycle.upload(image.pk, [DATA], member)

    with pytest.raises(errors.Gone):
        lifecycle.upload(image.pk, slow(), member)

    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert len(files()) == 1


def test_a_store_that_fails_returns_the_image(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_STORES = "broken=file:///proc/no-such-folder"
    image = make_image()

    with pytest.raises(errors.StoreError):
        lifecycle.upload(image.pk, [DATA], member)

    assert current(image).status == Status.QUEUED


def test_bytes_whose_success_was_recorded_are_never_cleaned_away(
    make_image: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image()
    add_data = uploading._add_data

    def commit_without_an_answer(*args: Any) -> None:
        add_data(*args)
        leases.fail(args[1], RuntimeError("connection lost"), member)

    monkeypatch.setattr(uploading, "_add_data", commit_without_an_answer)
    lifecycle.upload(image.pk, [DATA], member)

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_a_missing_file_is_told_before_the_first_block(make_image: Any) -> None:
    image = make_image(status="active")
    image.locations.update(key="ab/gone.0")

    with pytest.raises(errors.DataMissing):
        lifecycle.read(image.pk)


def test_the_second_copy_is_read_when_the_first_is_missing(
    make_image: Any, data_dir: Path
) -> None:
    image = make_image(status="active", data=DATA)
    kept = image.locations.get()
    image.locations.create(store=kept.store, key=kept.key)
    image.locations.filter(pk=kept.pk).update(key="ab/gone.0")

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_a_copy_in_a_store_that_was_taken_away_is_passed_over(
    make_image: Any,
) -> None:
    image = make_image(status="active", data=DATA)
    image.locations.create(store="gone", key="ab/gone.0")

    assert b"".join(lifecycle.read(image.pk)) == DATA
    image.locations.exclude(store="gone").delete()
    with pytest.raises(errors.StoreNotConfigured):
        lifecycle.read(image.pk)


def test_the_data_of_a_queued_image_is_not_given_out(make_image: Any) -> None:
    image = make_image(data=DATA)

    with pytest.raises(errors.DataMissing):
        lifecycle.read(image.pk)
