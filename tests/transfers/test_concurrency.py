"""The shares of transfers that hold a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from images import errors
from images.access import Caller
from images.models import Image
from images.transfers import concurrency, places
from images.transfers.concurrency import Shares, of_connections, of_threads
from images.transfers.places import PERIOD, Place

TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
FORMATS = {
    "x-image-meta-disk_format": "raw",
    "x-image-meta-container_format": "bare",
}


def fill(shares: Shares, address: str = "", project: str = "") -> int:
    """Take places until there are no more, and return their number."""
    count = 0
    while True:
        try:
            names = address or f"address-{count}", project or f"project-{count}"
            shares.take(Place(*names))
        except errors.TooManyTransfers:
            return count
        count += 1


@pytest.mark.parametrize(
    ("threads", "places"), [(1, 1), (2, 1), (8, 4), (16, 8), (32, 24), (64, 48)]
)
def test_a_reserve_of_threads_stays_free(threads: int, places: int) -> None:
    assert fill(of_threads(threads)) == places


@pytest.mark.parametrize("who", [{"address": "192.0.2.1"}, {"project": "a"}])
def test_one_client_and_one_project_get_half_and_leave_the_rest_to_others(
    who: dict[str, str],
) -> None:
    shares = of_threads(64)

    assert fill(shares, **who) == 24
    assert fill(shares) == 24


def test_a_place_that_is_given_back_is_free() -> None:
    shares = of_threads(2)
    for _ in range(3):
        shares.release(shares.take(Place("192.0.2.1", "a")))


def test_an_unknown_address_has_no_share_of_its_own() -> None:
    shares = of_threads(64)
    for number in range(48):
        shares.take(Place("", f"project-{number}"))


class Clock:
    """The time, and transfers that move so many bytes a second in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[tuple[str, float]] = []

    def transfer(self, project: str, rate: float) -> Place:
        began = self.now
        return Place(
            "",
            project,
            lambda: int((self.now - began) * rate),
            lambda: self.ended.append((project, rate)),
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(places.time, "monotonic", lambda: clock.now)
    return clock


DRIP, FAST, FASTER = 1.0, 1e6, 2e6  # bytes a second
ALL_FAST = [("a", FAST), ("b", FAST), ("b", FASTER), ("c", FAST)]
ONE_EACH = [("a", FAST), ("b", FAST), ("c", DRIP), ("d", FAST)]


@pytest.mark.parametrize(
    ("running", "newcomer", "ended"),
    [
        (ALL_FAST, "new", ("b", FAST)),
        (ONE_EACH, "new", ("c", DRIP)),
        ([*ALL_FAST[:3], ("c", DRIP)], "new", ("b", FAST)),
        ([("a", DRIP), ("b", DRIP), ("b", FAST), ("c", FAST)], "a", ("b", DRIP)),
    ],
)
def test_a_newcomer_gets_the_slowest_of_the_places_of_who_has_most(
    running: list[tuple[str, float]],
    newcomer: str,
    ended: tuple[str, float],
    clock: Clock,
) -> None:
    shares = Shares(4, 1)
    for transfer in running:
        shares.take(clock.transfer(*transfer))
    clock.now = 5

    shares.take(clock.transfer(newcomer, FAST))

    assert clock.ended == [ended]


@pytest.mark.parametrize(
    ("running", "newcomer"),
    [
        ([*ONE_EACH[:2], ("c", FAST), ONE_EACH[3]], "new"),
        (ALL_FAST, "a"),
        (ONE_EACH, "a"),
    ],
    ids=["as many, fast", "as many as the newcomer then has", "fewer, slow"],
)
def test_nobody_loses_a_place_to_a_client_that_then_has_more_or_as_many(
    running: list[tuple[str, float]], newcomer: str, clock: Clock
) -> None:
    shares = Shares(4, 1)
    for transfer in running:
        shares.take(clock.transfer(*transfer))
    clock.now = 5

    with pytest.raises(errors.TooManyTransfers):
        shares.take(clock.transfer(newcomer, FAST))

    assert clock.ended == []


def test_a_transfer_that_was_fast_and_now_drips_is_slow(clock: Clock) -> None:
    moved = 10 << 20
    place = Place("", "a", lambda: moved, lambda: None)
    moved += 10 << 20
    clock.now = 5
    assert not place.is_slow()
    for _ in range(3):
        clock.now += PERIOD + 1
        place.rate()

    assert place.is_slow()


def test_a_transfer_that_the_service_delays_is_not_slow(clock: Clock) -> None:
    waits_for_store = True
    place = Place("", "a", lambda: 0, lambda: None, lambda: waits_for_store)
    clock.now = 60
    assert not place.is_slow()

    waits_for_store = False

    assert place.is_slow()


def test_threads_of_ended_transfers_count_until_they_are_free(clock: Clock) -> None:
    shares = Shares(2, 1)
    old = [shares.take(clock.transfer(project, DRIP)) for project in "ab"]
    clock.now = 5
    shares.take(clock.transfer("c", FAST))
    with pytest.raises(errors.TooManyTransfers):
        shares.take(clock.transfer("d", FAST))
    for place in old:
        shares.release(place)

    shares.take(clock.transfer("d", FAST))


def test_of_downloads_without_a_thread_only_slow_ones_are_ended(clock: Clock) -> None:
    shares = of_connections(8)  # six places
    for transfer in [*ALL_FAST, ("b", FAST), ("d", DRIP)]:
        shares.take(clock.transfer(*transfer))
    clock.now = 5

    shares.take(clock.transfer("new", FAST))
    with pytest.raises(errors.TooManyTransfers):
        shares.take(clock.transfer("newer", FAST))

    assert clock.ended == [("d", DRIP)]


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one transfer can be under way."""
    monkeypatch.setattr(concurrency, "_shares", of_threads(2))


@pytest.fixture
def full(one_place: None, member: Caller) -> None:
    """The transfer that can be under way is one of the member's project."""
    concurrency.shares().take(Place("", member.project))


def put(client: Any, image: Image) -> Any:
    return client.put(f"/v2/images/{image.pk}/file", b"x", "application/octet-stream")


def create_v1(client: Any, image: Image) -> Any:
    data = "application/octet-stream"
    return client.post("/v1/images", b"x", data, headers=FORMATS)


def update_v1(client: Any, image: Image) -> Any:
    return client.put(f"/v1/images/{image.pk}", b"x", "application/octet-stream")


def append(client: Any, image: Image) -> Any:
    path = f"/v2/images/{image.pk}/uploads"
    headers = TUS | {"Upload-Length": "1"}
    opened = client.generic("POST", path, headers=headers).headers["Location"]
    return client.patch(
        opened, b"x", "application/offset+octet-stream", headers=headers
    )


@pytest.mark.parametrize("send", [put, create_v1, update_v1, append])
def test_an_upload_over_its_share_is_refused_and_changes_nothing(
    send: Callable[[Any, Image], Any],
    full: None,
    client_of: Callable[[Caller], Any],
    member: Caller,
    make_image: Callable[..., Image],
) -> None:
    image = make_image()

    answer = send(client_of(member), image)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert [it.status for it in Image.objects.all()] in (["queued"], ["uploading"])


@pytest.mark.parametrize("path", ["/v2/images/{}/file", "/v1/images/{}"])
def test_a_download_over_its_share_is_refused(
    path: str,
    full: None,
    client_of: Callable[[Caller], Any],
    member: Caller,
    make_image: Callable[..., Image],
) -> None:
    image = make_image("active", data=b"data")

    answer = client_of(member).get(path.format(image.pk))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("send", [put, create_v1, append])
def test_a_transfer_that_has_ended_leaves_its_place(
    send: Callable[[Any, Image], Any],
    one_place: None,
    client_of: Callable[[Caller], Any],
    member: Caller,
    make_image: Callable[..., Image],
) -> None:
    send(client_of(member), make_image())

    concurrency.shares().take(Place("127.0.0.1", member.project))


def test_a_download_that_was_read_leaves_its_place(
    one_place: None,
    client_of: Callable[[Caller], Any],
    member: Caller,
    make_image: Callable[..., Image],
) -> None:
    image = make_image("active", data=b"data")

    answer = client_of(member).get(f"/v2/images/{image.pk}/file")
    assert b"".join(answer) == b"data"
    answer.close()

    concurrency.shares().take(Place("127.0.0.1", member.project))
