from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.lifecycle import (
    AddLocation,
    RemoveLocationAt,
    ReplaceLocations,
    location_preparation,
)
from images.lifecycle.location_preparation import prepare
from images.lifecycle.locations import apply
from images.models import Event, Image, Status
from images.stores.http import HttpStore
from images.transitions import locked
from tests.rows import current
from tests.web import serving_files

DATA = b"the bytes of an image"
SHA512 = hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has `image` (DATA), `same` and `other`, `longer`."""
    files = {"image": DATA, "same": DATA, "other": DATA[::-1], "longer": DATA + b"!"}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


def undigested(make_image: Any, url: str) -> Image:
    """An active image with data at a URL that was never read, as owners are trusted with."""
    unknown = dict.fromkeys(("checksum", "os_hash_algo", "os_hash_value"))
    image: Image = make_image("active", data=DATA, **unknown)
    image.locations.update(store="http", key=url)
    return image


def replace(image_id: str, locations: list[AddLocation], actor: Caller) -> None:
    change = ReplaceLocations(tuple(locations))
    lifecycle.update(image_id, Changes(), actor, [change])


def test_the_first_location_makes_an_image_active(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()

    lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)

    image = current(image)
    assert (image.status, image.size) == (Status.ACTIVE, len(DATA))
    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_the_reason_of_each_change_is_in_the_history(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    for name in ("image", "same"):
        change = AddLocation(f"{web}/{name}")
        lifecycle.add_location(image.pk, change, member, f"add {name}")
    for location in image.locations.order_by("pk"):
        lifecycle.remove_location(
            image.pk, location.pk, member, f"remove {location.key}"
        )

    reasons = Event.objects.order_by("pk").values_list("verb", "reason")

    assert list(reasons) == [
        ("add_location", "add image"),
        ("add_location", "add same"),
        ("remove_location", f"remove {web}/image"),
        ("remove_location", f"remove {web}/same"),
    ]


def test_digests_that_are_given_with_a_location_are_verified_and_kept(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    change = AddLocation.parse(
        {
            "url": f"{web}/image",
            "metadata": {},
            "validation_data": {"os_hash_algo": "sha512", "os_hash_value": SHA512},
        }
    )

    lifecycle.add_location(image.pk, change, member)

    assert current(image).os_hash_value == SHA512


def test_wrong_digests_are_refused(web: str, make_image: Any, member: Caller) -> None:
    image = make_image()
    claims = {"os_hash_algo": "sha512", "os_hash_value": "0" * 128}

    with pytest.raises(errors.Conflict, match="os_hash_value"):
        lifecycle.add_location(
            image.pk, AddLocation(f"{web}/image", validation=claims), member
        )

    assert current(image).status == Status.QUEUED


def test_without_the_last_location_an_image_is_queued_and_pinned(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active", data=DATA)

    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    image = current(image)
    assert (image.status, image.pinned) == (Status.QUEUED, True)
    assert (image.size, image.os_hash_value) == (len(DATA), SHA512)
    with pytest.raises(errors.DataMissing):
        lifecycle.read(image.pk)


def test_a_pinned_image_takes_the_same_bytes_again(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active", data=DATA)
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    lifecycle.upload(image.pk, [DATA], member)

    image = current(image)
    assert (image.status, image.pinned) == (Status.ACTIVE, False)


def test_a_pinned_image_refuses_other_bytes(make_image: Any, member: Caller) -> None:
    image = make_image(status="active", data=DATA)
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    with pytest.raises(errors.Conflict, match="checksum"):
        lifecycle.upload(image.pk, [DATA[::-1]], member)

    image = current(image)
    assert (image.status, image.pinned) == (Status.QUEUED, True)
    assert image.os_hash_value == SHA512


def test_a_pinned_image_is_not_killed_by_an_upload_that_fails(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active", data=DATA)
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    with pytest.raises(errors.Conflict):
        lifecycle.upload(
            image.pk, [DATA[::-1]], member, status_on_failure=Status.KILLED
        )

    assert current(image).status == Status.QUEUED


def test_a_location_of_a_pinned_image_is_read_and_compared(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status="active", data=DATA)
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/other"), member)
    lifecycle.add_location(image.pk, AddLocation(f"{web}/same"), member)

    assert current(image).status == Status.ACTIVE


def test_the_last_location_stays_where_the_operator_says_so(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LAST_LOCATION = "forbid"
    image = make_image(status="active")

    with pytest.raises(errors.Forbidden):
        lifecycle.remove_location(image.pk, image.locations.get().pk, member)
    with pytest.raises(errors.Forbidden):
        replace(image.pk, [], member)

    assert current(image).status == Status.ACTIVE


def test_one_of_two_locations_can_go(web: str, make_image: Any, admin: Caller) -> None:
    image = make_image(status="active", data=DATA)
    lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), admin)

    lifecycle.remove_location(image.pk, image.locations.get(store="local").pk, admin)

    assert current(image).status == Status.ACTIVE
    assert image.locations.get(status="active").store == "http"


def test_a_location_that_is_gone_already_is_not_taken_for_another_one(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")
    first = image.locations.get()
    second = image.locations.create(store="local", key="ab/second.0")
    lifecycle.remove_location(image.pk, first.pk, member)

    with pytest.raises(errors.NotFound, match="no such location"):
        lifecycle.remove_location(image.pk, first.pk, member)

    assert image.locations.get(status="active") == second


def test_a_location_of_another_image_stays(make_image: Any, member: Caller) -> None:
    image, other = make_image(status="active"), make_image(status="active")

    with pytest.raises(errors.NotFound):
        lifecycle.remove_location(image.pk, other.locations.get().pk, member)

    assert current(image).status == current(other).status == Status.ACTIVE


def test_a_second_location_with_other_bytes_is_refused(
    web: str, make_image: Any, admin: Caller
) -> None:
    image = make_image(status="active", data=DATA)

    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/other"), admin)


def test_all_locations_of_a_queued_image_can_be_set_at_once(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    locations = [AddLocation(f"{web}/image"), AddLocation(f"{web}/same")]

    replace(image.pk, locations, member)

    assert current(image).status == Status.ACTIVE
    assert image.locations.count() == 2


def test_locations_of_different_sizes_are_refused_as_a_whole(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    locations = [AddLocation(f"{web}/image"), AddLocation(f"{web}/longer")]

    with pytest.raises(errors.Conflict):
        replace(image.pk, locations, member)

    assert current(image).status == Status.QUEUED
    assert not image.locations.exists()


def test_only_metadata_of_an_active_image_s_locations_can_be_replaced(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)

    with pytest.raises(errors.Invalid) as refusal:
        replace(image.pk, [AddLocation(f"{web}/same")], member)
    replace(image.pk, [AddLocation(f"{web}/image", {"rack": "7"})], member)

    assert web not in str(refusal.value)
    assert image.locations.get().metadata == {"rack": "7"}


def test_a_location_that_nobody_asked_is_never_added(
    web: str, make_image: Any, member: Caller
) -> None:
    """The image returns to queued between the check of the location and the lock."""
    image = make_image(status="saving")
    (unasked,) = prepare(image.pk, [AddLocation(f"{web}/image")])
    queued = make_image()

    with locked(queued.pk) as image, pytest.raises(errors.Conflict, match="Try again"):
        apply(image, unasked, member)


def test_what_was_allowed_as_the_first_location_is_not_added_as_a_second(
    web: str, make_image: Any, member: Caller
) -> None:
    """Data of another client arrives between the check of the caller's permission and the lock."""
    image = make_image("active")
    first = AddLocation(f"{web}/image", to_active=False)

    with pytest.raises(errors.Conflict, match="Try again"):
        lifecycle.add_location(image.pk, first, member)

    assert image.locations.count() == 1


def test_none_at_all_are_refused_where_the_last_one_must_stay(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LAST_LOCATION = "forbid"

    with pytest.raises(errors.Forbidden, match="empty"):
        replace(make_image().pk, [], admin)


def test_locations_can_be_emptied_at_once(make_image: Any, admin: Caller) -> None:
    image = make_image(status="active")

    replace(image.pk, [], admin)

    assert (current(image).status, current(image).pinned) == (Status.QUEUED, True)


def test_what_was_never_digested_is_digested_before_it_is_pinned(
    web: str, make_image: Any, member: Caller
) -> None:
    image = undigested(make_image, f"{web}/image")

    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    assert current(image).os_hash_value == SHA512
    with pytest.raises(errors.Conflict):
        lifecycle.upload(image.pk, [DATA[::-1]], member)
    lifecycle.upload(image.pk, [DATA], member)


def test_a_second_copy_of_what_was_never_digested_is_compared_with_the_first(
    web: str, make_image: Any, admin: Caller
) -> None:
    image = undigested(make_image, f"{web}/image")

    with pytest.raises(errors.Conflict, match="differs"):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/other"), admin)
    lifecycle.add_location(image.pk, AddLocation(f"{web}/same"), admin)

    assert current(image).os_hash_value == SHA512


def test_copies_that_are_given_together_are_compared(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    locations = [AddLocation(f"{web}/image"), AddLocation(f"{web}/other")]

    with pytest.raises(errors.Conflict, match="differs"):
        replace(image.pk, locations, member)


def test_too_many_locations_are_refused_before_any_is_asked(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    changes = [AddLocation(f"http://unresolvable.invalid/{n}") for n in range(11)]

    with pytest.raises(errors.OverLimit):
        lifecycle.update(image.pk, Changes(), member, changes)


def test_a_location_larger_than_the_cap_is_refused(
    web: str, make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = len(DATA) - 1
    image = make_image()

    with pytest.raises(errors.OverLimit):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


def test_a_location_larger_than_the_quota_is_refused(
    web: str, make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA) - 1
    image = make_image()

    with pytest.raises(errors.OverLimit):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


def test_the_same_url_twice_is_refused(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)

    with pytest.raises(errors.Invalid, match="already exists"):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "filesystem:///etc/passwd",
        "FILE:///etc/passwd",
        "swift+config://ref/container/object",
        "s3://images/somebody-elses-object",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "not a url",
        "",
    ],
)
def test_a_url_that_is_not_of_the_web_outside_is_refused(
    url: str, make_image: Any, member: Caller
) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid):
        lifecycle.add_location(image.pk, AddLocation(url), member)

    assert current(image).status == Status.QUEUED


def test_a_url_without_data_is_refused(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()

    with pytest.raises(errors.Invalid, match="Invalid location") as refusal:
        lifecycle.add_location(image.pk, AddLocation(f"{web}/missing"), member)

    assert web not in str(refusal.value)


@pytest.mark.parametrize("status", ["saving", "deactivated", "killed"])
def test_locations_cannot_be_added_in_this_status(
    status: str, web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status=status)

    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


def test_a_location_needs_both_formats(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(container_format=None)

    with pytest.raises(errors.Invalid, match="container_format"):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


def test_there_is_a_limit_to_locations(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status="active", data=DATA)
    for number in range(9):
        image.locations.create(store="http", key=f"{web}/{number}")

    with pytest.raises(errors.OverLimit):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)


def test_an_index_that_is_not_there_is_refused(make_image: Any, member: Caller) -> None:
    image = make_image(status="active")

    with pytest.raises(errors.Invalid, match="no location 1"):
        lifecycle.update(image.pk, Changes(), member, [RemoveLocationAt(1)])


@pytest.mark.parametrize(
    "value",
    [
        "http://web/",
        {},
        {"url": 1},
        {"url": "http://web/", "metadata": []},
        {"url": "http://web/", "surprise": 1},
        {"url": "http://web/" + "x" * 255},
        {"url": "http://web/", "metadata": {"a": "\0"}},
        {"url": "http://web/", "validation_data": {"checksum": "0" * 32}},
        {"url": "http://web/", "validation_data": [1]},
    ],
)
def test_a_malformed_location_is_refused(value: object) -> None:
    with pytest.raises(errors.Invalid):
        AddLocation.parse(value)


@pytest.mark.parametrize(
    "validation",
    [
        {"os_hash_algo": "crc32", "os_hash_value": "0" * 8},
        {"os_hash_algo": "sha512", "os_hash_value": "0" * 127},
        {"os_hash_algo": "sha512", "os_hash_value": "x" * 128},
    ],
)
def test_malformed_digests_are_a_conflict(validation: dict[str, str]) -> None:
    with pytest.raises(errors.Conflict):
        AddLocation.parse({"url": "http://web/", "validation_data": validation})


def test_a_removed_location_leaves_its_events(make_image: Any, member: Caller) -> None:
    image = make_image(status="active")

    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    event = Event.objects.get()
    assert (event.verb, event.to_status) == ("remove_location", "queued")


# Where the operator trusts owners with what is at a URL


@pytest.fixture
def _trusting(settings: Any) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = "trust"


CLAIM = {
    "checksum": "1" * 32,
    "os_hash_algo": "sha512",
    "os_hash_value": "DEADBEEF" * 16,
}


@pytest.mark.usefixtures("_trusting")
def test_digests_are_believed_where_the_operator_says_so(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()

    first = AddLocation(f"{web}/image", validation=CLAIM)
    lifecycle.add_location(image.pk, first, member)
    second = AddLocation(f"{web}/same", validation=CLAIM)
    lifecycle.add_location(image.pk, second, member)

    image = current(image)
    assert (image.checksum, image.os_hash_value) == ("1" * 32, "deadbeef" * 16)
    assert image.locations.count() == 2


@pytest.mark.usefixtures("_trusting")
@pytest.mark.parametrize(
    "other",
    [{"checksum": "2" * 32}, {"os_hash_value": "f" * 128}, {"os_hash_algo": "sha256"}],
)
def test_what_is_said_of_a_second_location_must_agree_with_the_first(
    other: dict[str, str], web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    first = AddLocation(f"{web}/image", validation=CLAIM)
    lifecycle.add_location(image.pk, first, member)

    second = AddLocation(f"{web}/same", validation=CLAIM | other)
    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, second, member)


@pytest.mark.usefixtures("_trusting")
def test_digests_are_not_made_up_later(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image()
    lifecycle.add_location(image.pk, AddLocation(f"{web}/image"), member)
    lifecycle.add_location(image.pk, AddLocation(f"{web}/same"), member)

    late = AddLocation(f"{web}/image#2", validation=CLAIM)
    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, late, member)
    assert current(image).checksum is None


@pytest.mark.usefixtures("_trusting")
def test_known_digests_are_compared_with_data_about_which_nothing_is_said(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image("active", data=DATA)

    lifecycle.add_location(image.pk, AddLocation(f"{web}/same"), member)
    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, AddLocation(f"{web}/other"), member)


@pytest.mark.usefixtures("_trusting")
def test_nobody_is_believed_about_pinned_data(
    web: str, make_image: Any, admin: Caller
) -> None:
    image = make_image("active", data=DATA)
    lifecycle.remove_location(image.pk, image.locations.get().pk, admin)
    digests = {
        "checksum": image.checksum,
        "os_hash_algo": "sha512",
        "os_hash_value": SHA512,
    }

    other = AddLocation(f"{web}/other", validation=digests)
    with pytest.raises(errors.Conflict):
        lifecycle.add_location(image.pk, other, admin)
    same = AddLocation(f"{web}/same", validation=digests)
    lifecycle.add_location(image.pk, same, admin)


def test_all_locations_of_one_request_together_have_to_be_read_in_time(
    web: str, make_image: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = HttpStore.open

    def slowly(self: HttpStore, *asked: Any) -> Any:
        time.sleep(0.3)
        return opened(self, *asked)

    monkeypatch.setattr(HttpStore, "open", slowly)
    monkeypatch.setattr(location_preparation, "READ_SECONDS", 1.0)
    image = make_image()
    located = [AddLocation(f"{web}/image?{number}") for number in range(5)]

    with pytest.raises(errors.Invalid, match="takes too long"):
        replace(image.pk, located, member)

    assert current(image).status == Status.QUEUED
