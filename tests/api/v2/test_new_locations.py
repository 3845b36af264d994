"""Locations by requests of their own (Image API 2.17): asked for now, checked by the worker."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from images import errors, history, lifecycle
from images.access import Caller
from images.api import authentication
from images.api.v2.patch import V2_1
from images.imports import queue, web_download
from images.models import Image, Transfer
from images.operations import consistency, manual_transitions
from images.transfers import reaper
from tests.copies import waiting_copies
from tests.web import serving_files

pytestmark = pytest.mark.django_db

DATA = b"the bytes of an image"
DIGESTS = {
    name: hashlib.new(name, DATA).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha512")
}
PACKED = gzip.compress(DATA)
OTHER = "f" * 128
BACKED = b"QFI\xfb\0\0\0\x02" + (512).to_bytes(8, "big") + (11).to_bytes(4, "big")
BACKED = BACKED.ljust(512, b"\0") + b"/etc/passwd".ljust(512, b"\0")


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has `image` (DATA), `packed` and `backed`."""
    files = {"image": DATA, "packed": PACKED, "backed": BACKED}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


@pytest.fixture
def service_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Client]:
    """Signs in a caller of another project with the role service alone."""

    def sign_in() -> Client:
        roles = frozenset({"service"})
        caller = Caller("nova", "project-of-services", roles, interface="v2")
        monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)
        return Client()

    return sign_in


@pytest.fixture
def new_image(db: None, member: Caller) -> Callable[..., Image]:
    """``new_image(disk_format="qcow2")``: a queued image whose history is whole."""

    def create(**fields: Any) -> Image:
        formats = {"disk_format": "raw", "container_format": "bare"}
        owner = {"owner": member.project}
        return lifecycle.create(formats | owner | fields, {}, [], member)

    return create


def add(client: Client, image: Image, url: object, **validation: str) -> Any:
    body: dict[str, Any] = {"url": url}
    if validation:
        body["validation_data"] = validation
    return send(client, image, body)


def send(client: Client, image: Image, body: object) -> Any:
    path = f"/v2/images/{image.pk}/locations"
    return client.post(path, json.dumps(body), content_type="application/json")


def digest(algorithm: str, value: str = "") -> dict[str, str]:
    value = value or DIGESTS[algorithm]
    return {"os_hash_algo": algorithm, "os_hash_value": value}


def work() -> None:
    """Carry out all waiting transfers, as the background worker does."""
    for transfer_id in waiting_copies():
        with suppress(errors.ImageError):
            queue.carry_out(transfer_id)


def state(image: Image) -> tuple[str, int]:
    """The status of an image and the number of its locations."""
    return Image.objects.get(pk=image.pk).status, image.locations.count()


def findings() -> list[object]:
    return list(consistency.check(read_bytes=True))


def test_a_location_is_accepted_and_then_checked_by_the_worker(
    web: str, api: Any, new_image: Any
) -> None:
    image = new_image()

    response = add(api.member, image, f"{web}/image")

    assert (response.status_code, response.content) == (202, b"")
    assert state(image) == ("importing", 0)
    assert findings() == []
    work()
    image.refresh_from_db()
    assert (image.status, image.size, image.checksum, image.os_hash_value) == (
        "active",
        len(DATA),
        DIGESTS["md5"],
        DIGESTS["sha512"],
    )
    download = api.member.get(f"/v2/images/{image.pk}/file")
    assert b"".join(download) == DATA
    assert Transfer.objects.get().status == "done"
    assert findings() == []


@pytest.mark.parametrize("mode", ["verify", "trust"])
@pytest.mark.parametrize("algorithm", sorted(DIGESTS))
def test_a_digest_that_holds_makes_the_image_active(
    mode: str, algorithm: str, web: str, api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = mode
    image = make_image()
    claimed = digest(algorithm, DIGESTS[algorithm].upper())

    assert add(api.member, image, f"{web}/image", **claimed).status_code == 202
    assert state(image) == ("importing", 0)
    work()

    assert state(image) == ("active", 1)
    shown = api.member.get(f"/v2/images/{image.pk}").json()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == (
        "sha512",
        DIGESTS["sha512"],
    )


def test_a_request_for_a_location_is_a_task_of_the_image(
    web: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    response = add(api.member, image, f"{web}/image?secret=1", **digest("sha256"))

    (task,) = api.member.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]
    assert (task["type"], task["status"]) == ("location_import", "pending")
    assert task["request_id"] == response.headers["X-Openstack-Request-Id"]
    assert task["input"] == {
        "image_id": image.pk,
        "loc_url": f"{web}/image?***",
        "validation_data": digest("sha256"),
    }
    work()
    (task,) = api.member.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]
    assert (task["status"], task["result"]) == ("success", {"image_id": image.pk})


def test_import_plugins_leave_the_data_at_a_location_as_it_is(
    web: str, api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    image = make_image()
    add(api.member, image, f"{web}/packed")

    work()

    assert Image.objects.get(pk=image.pk).size == len(PACKED)


def refused_data() -> dict[str, tuple[str, dict[str, str], str]]:
    """(path, validation, code of the error) of data that the worker refuses."""
    return {
        "another digest": ("image", digest("sha512", OTHER), "digest-mismatch"),
        "a backing file": ("backed", {}, "content-refused"),
        "nothing there": ("absent", {}, "data-missing"),
    }


@pytest.mark.parametrize("case", refused_data())
def test_data_that_is_refused_leaves_the_image_queued_without_a_location(
    case: str, web: str, api: Any, new_image: Any
) -> None:
    path, claimed, code = refused_data()[case]
    image = new_image(disk_format="qcow2" if path == "backed" else "raw")
    add(api.member, image, f"{web}/{path}", **claimed)

    work()

    assert state(image) == ("queued", 0)
    error = history.last_error(image.pk)
    assert error is not None
    assert error["code"] == code
    assert findings() == []
    assert add(api.member, image, f"{web}/image").status_code == 202


def digests_of(image: Image) -> tuple[str | None, str | None]:
    image = Image.objects.get(pk=image.pk)
    return image.checksum, image.os_hash_value


@pytest.fixture
def trusted(web: str, api: Any, new_image: Any, settings: Any) -> Image:
    """An image that is active by a location that nobody has read."""
    settings.IMAGECATALOG_LOCATION_DATA = "trust"
    image: Image = new_image()
    assert add(api.member, image, f"{web}/image").status_code == 202
    return image


def test_a_trusted_location_makes_the_image_active_and_gets_its_digests_later(
    trusted: Image, api: Any
) -> None:
    assert (state(trusted), digests_of(trusted)) == (("active", 1), (None, None))
    (task,) = api.member.get(f"/v2/images/{trusted.pk}/tasks").json()["tasks"]
    assert (task["type"], task["status"]) == ("location_import", "pending")

    work()

    assert state(trusted) == ("active", 1)
    assert digests_of(trusted) == (DIGESTS["md5"], DIGESTS["sha512"])
    (task,) = api.member.get(f"/v2/images/{trusted.pk}/tasks").json()["tasks"]
    assert task["status"] == "success"
    assert findings() == []


def test_reading_for_digests_takes_nothing_of_the_quota(
    trusted: Image, api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA)
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 1
    path = f"/v2/images/{make_image().pk}/file"

    sent = api.member.put(path, DATA, content_type="application/octet-stream")
    work()

    assert sent.status_code == 204
    assert digests_of(trusted)[0] == DIGESTS["md5"]


@pytest.mark.parametrize("name", ["backed", "missing"])
def test_data_that_cannot_be_digested_leaves_the_image_as_it_is(
    name: str, trusted: Image, web: str, api: Any
) -> None:
    Transfer.objects.update(source=f"{web}/{name}")

    work()

    assert (state(trusted), digests_of(trusted)) == (("active", 1), (None, None))
    (task,) = api.member.get(f"/v2/images/{trusted.pk}/tasks").json()["tasks"]
    assert task["status"] == "failure"
    assert task["message"]


@pytest.mark.parametrize(
    "change",
    [
        lambda image, actor: lifecycle.delete(image.pk, actor),
        lambda image, actor: image.locations.update(key="http://127.0.0.1/other"),
    ],
    ids=["deleted", "moved"],
)
def test_an_image_that_changes_meanwhile_gets_no_digests(
    change: Callable[[Image, Caller], object], trusted: Image, member: Caller
) -> None:
    (transfer_id,) = waiting_copies()
    change(trusted, member)

    with suppress(errors.ImageError):
        queue.carry_out(transfer_id)

    assert digests_of(trusted) == (None, None)
    assert Transfer.objects.get(pk=transfer_id).status == "failed"


def test_a_worker_that_stops_while_it_reads_for_digests_leaves_them_to_the_next(
    trusted: Image,
) -> None:
    (transfer_id,) = waiting_copies()
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(transfer_id, stopping=lambda: True)
    assert state(trusted) == ("active", 1)

    work()

    assert digests_of(trusted)[0] == DIGESTS["md5"]


def test_an_operator_ends_the_reading_and_the_image_stays_active(
    trusted: Image, admin: Caller
) -> None:
    (transfer_id,) = waiting_copies()

    manual_transitions.cancel(transfer_id, admin)

    assert state(trusted) == ("active", 1)
    assert waiting_copies() == []


MALFORMED: dict[str, Any] = {
    "a list": ["x"],
    "no url": {},
    "a url that is no text": {"url": 7},
    "an unknown key": {"url": "http://127.0.0.1/x", "metadata": {}},
    "no object of digests": {"url": "http://127.0.0.1/x", "validation_data": []},
    "half a digest": {
        "url": "http://127.0.0.1/x",
        "validation_data": {"os_hash_algo": "md5"},
    },
    "too much of a digest": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("md5") | {"checksum": DIGESTS["md5"]},
    },
    "an unknown algorithm": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("md5") | {"os_hash_algo": "sha3"},
    },
    "an algorithm that is no text": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("md5") | {"os_hash_algo": ["md5"]},
    },
    "no hexadecimal digits": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("md5", "z" * 32),
    },
    "too few digits": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("sha256", DIGESTS["md5"]),
    },
    "a digest that is no text": {
        "url": "http://127.0.0.1/x",
        "validation_data": digest("md5") | {"os_hash_value": 7},
    },
    "a url that is too long": {"url": f"http://127.0.0.1/{'x' * 300}"},
    "a url that the filter refuses": {"url": "http://169.254.169.254/latest"},
    "a url with a user": {"url": "http://user:password@127.0.0.1/x"},
    "a null in the url": {"url": "http://127.0.0.1/\0"},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_location_is_refused(
    case: str, web: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    assert send(api.member, image, MALFORMED[case]).status_code == 400

    assert state(image) == ("queued", 0)
    assert not Transfer.objects.exists()


def test_an_image_without_formats_takes_no_location(
    web: str, api: Any, make_image: Any
) -> None:
    image = make_image(disk_format=None)

    assert add(api.member, image, f"{web}/image").status_code == 400

    assert state(image) == ("queued", 0)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "cinder://volume", "rbd://pool/x", "/x", ""]
)
def test_only_services_may_name_other_stores_and_they_have_none(
    url: str, api: Any, make_image: Any, service_client: Any
) -> None:
    image = make_image(visibility="public")

    assert add(api.member, image, url).status_code == 403
    assert add(service_client(), image, url).status_code == 400

    assert state(image) == ("queued", 0)


@pytest.mark.parametrize(
    "status", ["saving", "uploading", "importing", "active", "deactivated", "killed"]
)
def test_only_a_queued_image_takes_a_location(
    status: str, web: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)
    before = state(image)

    response = add(api.member, image, f"{web}/image")

    assert response.status_code == 409
    message = f"not allowed to add locations if image status is {status}"
    assert message in response.content.decode().replace("&#x27;", "'")
    assert state(image) == before


def test_a_second_location_is_refused_while_the_first_is_checked(
    web: str, api: Any, make_image: Any
) -> None:
    image = make_image()
    add(api.member, image, f"{web}/image")

    assert add(api.member, image, f"{web}/image").status_code == 409

    assert len(waiting_copies()) == 1


def test_locations_that_are_checked_count_as_data_on_its_way(
    web: str, api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 1
    add(api.member, make_image(), f"{web}/image")
    image = make_image()

    assert add(api.member, image, f"{web}/image").status_code == 413

    assert state(image) == ("queued", 0)


@pytest.mark.parametrize(
    ("caller", "code"), [("admin", 202), ("reader", 403), ("stranger", 404)]
)
def test_who_may_add_a_location(
    caller: str, code: int, web: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    assert add(getattr(api, caller), image, f"{web}/image").status_code == code


@pytest.mark.parametrize("mode", ["verify", "trust"])
def test_a_service_may_add_a_location_to_the_image_of_another_project(
    mode: str, web: str, make_image: Any, service_client: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = mode
    image = make_image(visibility="public")

    assert add(service_client(), image, f"{web}/image").status_code == 202
    work()

    assert state(image) == ("active", 1)


def test_services_and_admins_read_the_locations_of_an_image(
    api: Any, make_image: Any, service_client: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_SHOW_LOCATIONS = "off"
    image = make_image("active", visibility="public")
    path = f"/v2/images/{image.pk}/locations"

    codes = [getattr(api, it).get(path).status_code for it in ("member", "reader")]
    found = [client.get(path) for client in (api.admin, service_client())]

    assert codes == [403, 403]
    for response in found:
        (location,) = response.json()
        assert location["url"].startswith("file:///")
        assert location["metadata"] == {"store": "local"}


def test_an_image_that_is_not_visible_shows_no_locations(
    api: Any, make_image: Any, service_client: Any
) -> None:
    image = make_image("active", visibility="private")
    path = f"/v2/images/{image.pk}/locations"

    assert api.stranger.get(path).status_code == 404
    assert service_client().get(path).status_code == 404


@pytest.mark.parametrize(("status", "count"), [("queued", 0), ("deactivated", 0)])
def test_a_service_reads_no_locations_of_an_image_that_it_may_not_download(
    status: str, count: int, make_image: Any, service_client: Any
) -> None:
    image = make_image(status, visibility="public")

    response = service_client().get(f"/v2/images/{image.pk}/locations")

    assert (response.status_code, len(response.json())) == (200, count)


def test_locations_have_no_other_methods(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image().pk}/locations"

    for method in ("PUT", "PATCH", "DELETE"):
        response = api.admin.generic(method, path)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")


# What happens meanwhile


def test_an_image_that_is_deleted_meanwhile_stays_deleted(
    web: str, api: Any, new_image: Any
) -> None:
    image = new_image()
    add(api.member, image, f"{web}/image")
    (transfer_id,) = waiting_copies()

    assert api.member.delete(f"/v2/images/{image.pk}").status_code == 204

    assert not queue.carry_out(transfer_id)
    assert state(image) == ("deleted", 0)
    assert findings() == []


def test_an_image_that_is_deleted_while_the_worker_reads_stays_deleted(
    web: str, api: Any, new_image: Any, member: Caller
) -> None:
    image = new_image()
    add(api.member, image, f"{web}/image")
    (transfer_id,) = waiting_copies()
    deletions = iter([lambda: lifecycle.delete(image.pk, member)])

    def delete_once() -> bool:
        next(deletions, lambda: None)()
        return False

    with pytest.raises(errors.Gone):
        queue.carry_out(transfer_id, delete_once)

    assert state(image) == ("deleted", 0)
    assert findings() == []


def test_formats_cannot_change_while_the_data_waits_to_be_checked(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()
    add(api.member, image, f"{web}/image")

    codes = [
        change(api.member, image, {"op": "replace", "path": path, "value": value})
        for path, value in (("/disk_format", "qcow2"), ("/name", "other"))
    ]

    assert [response.status_code for response in codes] == [403, 200]
    work()
    assert state(image) == ("active", 1)


def test_no_other_data_comes_in_meanwhile(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()
    add(api.member, image, f"{web}/image")
    location = {"url": f"{web}/image", "metadata": {}}

    upload = api.member.put(
        f"/v2/images/{image.pk}/file", b"x", "application/octet-stream"
    )
    second = change(
        api.member,
        image,
        {"op": "add", "path": "/locations/-", "value": location},
        media_type=V2_1,
    )

    assert (upload.status_code, second.status_code) == (409, 409)
    work()
    assert state(image) == ("active", 1)


def test_an_operator_cancels_a_check_that_waits(
    web: str, api: Any, new_image: Any, admin: Caller
) -> None:
    image = new_image()
    add(api.member, image, f"{web}/image")

    manual_transitions.transition_to(image.pk, "queued", admin, "no worker")

    assert (state(image), waiting_copies()) == (("queued", 0), [])
    assert findings() == []


def test_a_check_waits_for_the_next_worker_when_the_worker_stops(
    web: str, api: Any, new_image: Any
) -> None:
    image = new_image()
    add(api.member, image, f"{web}/image", **digest("sha256", "0" * 64))

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: True)

    assert state(image) == ("importing", 0)
    (again,) = Transfer.objects.filter(pk__in=waiting_copies())
    assert again.expected_digests == {"sha256": "0" * 64}
    assert findings() == []


def test_a_check_whose_worker_dies_leaves_the_image_queued(
    web: str, api: Any, new_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = new_image()
    add(api.member, image, f"{web}/image")

    def die(point: str) -> None:
        if point == "location.claimed":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(web_download, "failpoint", die)
        with pytest.raises(KeyboardInterrupt):
            queue.carry_out(waiting_copies()[0])
    Transfer.objects.update(worker="elsewhere:1", heartbeat_at="2020-01-01T00:00Z")
    reaper.reap()

    assert state(image) == ("queued", 0)
    assert findings() == []


def test_a_pinned_image_takes_only_the_data_that_it_had(
    web: str, api: Any, make_image: Any
) -> None:
    same = make_image(size=len(DATA), checksum=DIGESTS["md5"], pinned=True)
    other = make_image(size=7, checksum="0" * 32, pinned=True)

    for image in (same, other):
        assert add(api.member, image, f"{web}/image").status_code == 202
    work()

    assert state(same) == ("active", 1)
    assert state(other) == ("queued", 0)


def test_a_location_must_fit_in_the_quota(
    web: str, api: Any, new_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA)
    first, second, third = new_image(), new_image(), new_image()

    assert add(api.member, first, f"{web}/image").status_code == 202
    assert add(api.member, second, f"{web}/image").status_code == 202
    work()
    assert add(api.member, third, f"{web}/image").status_code == 413

    assert sorted(state(image)[0] for image in (first, second)) == ["active", "queued"]
    assert state(third) == ("queued", 0)
    assert findings() == []
