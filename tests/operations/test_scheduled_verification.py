"""Verification on a schedule: what is due, in which order, by which worker, and what it finds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from images import errors, lifecycle, min_rate, stores
from images.access import operator
from images.models import Event, Image, ImageLocation, Transfer, TransferStatus
from images.operations import repair, scheduled_verification, wanted_digests
from images.operations.scheduled_verification import verify_due
from images.stores.local import LocalStore
from tests.locations import overwrite
from tests.servers import S3
from tests.web import Quiet, allow_in_process, serving

pytestmark = pytest.mark.django_db

MIB = 1 << 20
LARGE = bytes(range(256)) * (3 * MIB // 256)
LATE = timedelta(days=31)


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> None:
    settings.IMAGECATALOG_VERIFY_RATE = 0


@pytest.fixture(autouse=True)
def none_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled_verification, "_waiting_since", None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The ``time`` of the schedule alone: other threads of this process use the real one."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(scheduled_verification, "time", clock)
    return clock


@pytest.fixture
def old(make_image: Any) -> Any:
    """``old(data, age)``: an active image whose data was stored long ago."""

    def make(data: bytes = b"the bytes of an image", age: timedelta = LATE) -> Image:
        image: Image = make_image("active", data=data)
        image.locations.update(created_at=timezone.now() - age)
        return image

    return make


def location(image: Image) -> ImageLocation:
    return image.locations.get()


def is_verified(image: Image) -> bool:
    return location(image).verified_at is not None


def flip(image: Image) -> None:
    """Change one bit of the stored data."""
    copy = location(image)
    data = bytearray(b"".join(stores.get(copy.store).open(copy.key)))
    data[len(data) // 2] ^= 1
    overwrite(copy, bytes(data))


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.s3)])
def test_a_flipped_bit_is_found_and_no_longer_delivered(
    kind: str, old: Any, settings: Any, request: pytest.FixtureRequest
) -> None:
    if kind == "s3":
        s3: S3 = request.getfixturevalue("s3")
        settings.IMAGECATALOG_STORES = s3.store(prefix=f"verify-{uuid4().hex}")
    good, bad = old(), old()
    flip(bad)

    verify_due()

    assert (is_verified(good), location(good).damage) == (True, "")
    assert location(bad).damage.startswith("wrong-digest: ")
    event = Event.objects.get(image=bad)
    assert (event.verb, event.interface) == ("verify", "worker")
    assert event.detail["damage"] == location(bad).damage
    with pytest.raises(errors.DataDamaged):
        lifecycle.read(bad.pk)


@pytest.mark.parametrize(("every", "due"), [(30, True), (32, False), (0, False)])
def test_a_copy_is_due_after_the_interval(
    every: int, due: bool, old: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_VERIFY_EVERY = every * 86400
    image = old()

    verify_due()

    assert is_verified(image) == due


def test_the_copy_that_was_verified_longest_ago_comes_first(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, longest = old(age=2 * LATE), old(age=4 * LATE)
    longest.locations.update(verified_at=timezone.now() - 3 * LATE)
    order: list[str] = []
    monkeypatch.setattr(
        scheduled_verification.Claim,
        "verify",
        lambda claim, breaker: order.append(claim._copy.image_id),
    )

    verify_due()

    assert order == [longest.pk, never.pk]


@pytest.mark.parametrize(("silence", "taken"), [(-59, False), (1, True)])
def test_a_copy_of_another_worker_is_read_only_once_its_lease_is_over(
    silence: int, taken: bool, old: Any
) -> None:
    image = old()
    lease_end = timezone.now() - timedelta(seconds=silence)
    image.locations.update(verify_after=lease_end)

    verify_due()

    assert is_verified(image) == taken


def test_a_worker_stops_once_another_process_has_verified_its_copy(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = old(LARGE)
    flip(image)
    monkeypatch.setattr(scheduled_verification.heartbeat, "interval", lambda: -1)
    open_file = LocalStore.open

    def open_later(store: LocalStore, key: str, *part: Any) -> Any:
        repair.note_verified(location(image).pk, "", operator("command"))
        return open_file(store, key, *part)

    monkeypatch.setattr(LocalStore, "open", open_later)

    verify_due()

    assert location(image).damage == ""


def test_it_stops_while_an_import_waits_and_then_reads_on_from_the_same_byte(
    old: Any, make_image: Any, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, importing = old(LARGE), make_image("importing")
    transfers = Transfer.objects.filter(image=importing)
    opened: list[int] = []
    open_file = LocalStore.open

    def open_and_wait(store: LocalStore, key: str, start: int = 0) -> Any:
        if not opened:
            transfers.update(status=TransferStatus.WAITING)
        opened.append(start)
        return open_file(store, key, start)

    monkeypatch.setattr(LocalStore, "open", open_and_wait)
    monkeypatch.setattr(scheduled_verification, "POLL", 0)
    clock.sleep = lambda _: transfers.update(status=TransferStatus.FAILED)

    verify_due()

    assert opened == [0, MIB]
    assert (is_verified(image), location(image).damage) == (True, "")


def test_an_import_that_keeps_waiting_delays_it_by_ten_minutes_at_most(
    old: Any, make_image: Any, clock: SimpleNamespace
) -> None:
    image, importing = old(), make_image("importing")
    Transfer.objects.filter(image=importing).update(status=TransferStatus.WAITING)

    seen = []
    for seconds in (0, 599, 601):
        now = 1000.0 + seconds
        clock.monotonic = lambda now=now: now
        verify_due()
        seen.append(is_verified(image))

    assert seen == [False, False, True]


def test_an_import_that_keeps_waiting_does_not_hold_a_copy_that_is_begun(
    old: Any, make_image: Any, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, importing = old(LARGE), make_image("importing")
    opened: list[int] = []
    open_file, passed = LocalStore.open, []

    def open_and_wait(store: LocalStore, key: str, start: int = 0) -> Any:
        Transfer.objects.filter(image=importing).update(status=TransferStatus.WAITING)
        opened.append(start)
        return open_file(store, key, start)

    def sleep(seconds: float) -> None:
        assert sum(passed) <= 600
        passed.append(100)

    monkeypatch.setattr(LocalStore, "open", open_and_wait)
    monkeypatch.setattr(scheduled_verification, "POLL", 0)
    clock.sleep = sleep
    clock.monotonic = lambda: time.monotonic() + sum(passed)

    verify_due()

    assert (opened, is_verified(image)) == ([0, MIB], True)


def test_a_copy_that_cannot_be_read_is_put_off_and_others_are_verified(
    old: Any,
) -> None:
    away, image = old(age=2 * LATE), old()
    away.locations.update(store="gone")

    verify_due()

    assert is_verified(image)
    assert (is_verified(away), location(away).damage) == (False, "")
    pause = location(away).verify_after - timezone.now()  # type: ignore[operator]
    assert timedelta(minutes=59) < pause <= timedelta(hours=1)


def test_data_that_was_put_right_is_noticed_after_a_day(old: Any) -> None:
    image = old(age=timedelta())
    image.locations.update(
        damage="wrong-digest: md5", verified_at=timezone.now() - timedelta(hours=25)
    )

    verify_due()

    assert location(image).damage == ""


@pytest.mark.parametrize(
    ("hours", "allowed"),
    [((0, 24), {0, 12, 23}), ((22, 6), {23, 22, 5}), ((1, 5), {1, 4})],
)
def test_it_reads_only_in_the_hours_that_are_set(
    hours: tuple[int, int], allowed: set[int], settings: Any
) -> None:
    settings.IMAGECATALOG_VERIFY_HOURS = hours

    found = {
        hour
        for hour in (0, 1, 4, 5, 6, 12, 22, 23)
        if scheduled_verification._is_allowed_hour(hour)
    }

    assert allowed <= found
    assert hours[1] not in found


def test_outside_of_the_hours_nothing_is_read(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = old()
    monkeypatch.setattr(scheduled_verification, "_is_allowed_hour", lambda hour: False)

    verify_due()

    assert not is_verified(image)


class Endless(Quiet):
    """Sends blocks of data until nobody listens any more, or 30 seconds are over."""

    block = bytes(MIB)
    pause = 0.0  # seconds after each block

    def do_GET(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        until = time.monotonic() + 30
        with suppress(OSError):
            while time.monotonic() < until:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(self.block), self.block))
                time.sleep(self.pause)


class Trickling(Endless):
    """Sends 0.2 MB per second: too slowly for a verification, but not for a download."""

    block = bytes(20_000)
    pause = 0.1


@pytest.fixture
def url_of(settings: Any) -> Any:
    """``with url_of(handler) as url``: a web server of this class, whose URL passes the filter."""

    @contextmanager
    def start(handler: type[Quiet]) -> Iterator[str]:
        with serving(handler) as url:
            allow_in_process(settings, url)
            yield url

    return start


@pytest.fixture
def slow_url(url_of: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URL whose data comes too slowly; a verification notices it after half a second."""
    monkeypatch.setattr(min_rate, "PAUSE", 0.5)
    with url_of(Trickling) as url:
        yield url


@pytest.mark.parametrize("is_read", [True, False])
def test_data_without_end_at_a_url_has_the_wrong_size(
    is_read: bool, old: Any, url_of: Any
) -> None:
    image = old()
    if not is_read:
        Image.objects.update(checksum=None, os_hash_algo=None, os_hash_value=None)

    with url_of(Endless) as url:
        image.locations.update(store="http", key=url)
        verify_due()

    kind = "wrong-size: more than" if is_read else "refused-data: Size exceeds"
    assert location(image).damage.startswith(kind)


def test_a_url_whose_data_comes_too_slowly_is_put_off_and_others_are_verified(
    old: Any, slow_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    slow, image = old(LARGE, age=2 * LATE), old()
    slow.locations.update(store="http", key=slow_url)

    verify_due()

    assert is_verified(image)
    assert (is_verified(slow), location(slow).damage) == (False, "")
    assert location(slow).verify_after > timezone.now() + timedelta(minutes=59)  # type: ignore[operator]
    assert "cannot be verified and is tried again in an hour" in caplog.text
    assert "sends the data too slowly to verify it" in caplog.text


def test_a_url_whose_data_comes_too_slowly_does_not_hold_the_computing_of_digests(
    old: Any, slow_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = old(LARGE)
    image.locations.update(store="http", key=slow_url)
    wanted_digests.ask(image.pk)

    wanted_digests.compute()

    assert "sends the data too slowly to verify it" in caplog.text
