"""The shares of transfers that hold a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from images import errors
from images.access import Caller
from images.models import Image
from images.transfers import concurrency
from images.transfers.concurrency import Shares

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
            shares.take(address or f"address-{count}", project or f"project-{count}")
        except errors.TooManyTransfers:
            return count
        count += 1


@pytest.mark.parametrize(
    ("threads", "places"), [(1, 1), (2, 1), (8, 4), (16, 8), (32, 24), (64, 48)]
)
def test_a_reserve_of_threads_stays_free(threads: int, places: int) -> None:
    assert fill(Shares(threads)) == places


@pytest.mark.parametrize("who", [{"address": "192.0.2.1"}, {"project": "a"}])
def test_one_client_and_one_project_get_half_and_leave_the_rest_to_others(
    who: dict[str, str],
) -> None:
    shares = Shares(64)

    assert fill(shares, **who) == 24
    assert fill(shares) == 24


def test_a_place_that_is_given_back_is_free() -> None:
    shares = Shares(2)
    for _ in range(3):
        shares.release(shares.take("192.0.2.1", "a"))


def test_an_unknown_address_has_no_share_of_its_own() -> None:
    shares = Shares(64)
    for number in range(48):
        shares.take("", f"project-{number}")


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one transfer can be under way."""
    monkeypatch.setattr(concurrency, "_shares", Shares(2))


@pytest.fixture
def full(one_place: None, member: Caller) -> None:
    """The transfer that can be under way is one of the member's project."""
    concurrency.shares().take("", member.project)


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

    concurrency.shares().take("127.0.0.1", member.project)


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

    concurrency.shares().take("127.0.0.1", member.project)
