from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.models import Event, Image, Status
from tests.rows import current

pytestmark = pytest.mark.django_db


def test_a_new_image_is_queued(member: Caller) -> None:
    image = lifecycle.create({"name": "debian"}, {"os": "debian"}, ["b", "a"], member)

    image = current(image)
    assert (image.status, image.name) == (Status.QUEUED, "debian")
    assert (image.tags, image.properties) == (["a", "b"], {"os": "debian"})


def test_creation_is_the_first_event(member: Caller) -> None:
    image = lifecycle.create({}, {}, [], member)

    event = Event.objects.get(image=image)
    assert (event.verb, event.from_status, event.to_status) == ("create", "", "queued")
    assert (event.actor, event.project) == (member.user, member.project)


@pytest.mark.parametrize("status", ["queued", "deleted", "pending_delete"])
def test_an_id_is_never_given_twice(
    status: str, make_image: Any, stranger: Caller
) -> None:
    image = make_image(status=status)

    with pytest.raises(errors.Conflict, match="already exists"):
        lifecycle.create({"id": image.pk}, {}, [], stranger)


@pytest.mark.parametrize("status", ["queued", "deleted"])
@pytest.mark.parametrize("existing", [str.lower, str.upper])
@pytest.mark.parametrize("wanted", [str.lower, str.upper, str.title])
def test_an_id_is_taken_in_every_case(
    existing: Any, wanted: Any, status: str, member: Caller, make_image: Any
) -> None:
    image_id = "abcdef01-89ab-cdef-0123-456789abcdef"
    make_image(status, id=existing(image_id))

    with pytest.raises(errors.Conflict, match="already exists"):
        lifecycle.create({"id": wanted(image_id)}, {}, [], member)


def test_a_chosen_id_costs_one_query_more(member: Caller, db: None) -> None:
    with CaptureQueriesContext(connection) as random:
        lifecycle.create({}, {}, [], member)
    with CaptureQueriesContext(connection) as chosen:
        lifecycle.create({"id": str(uuid4())}, {}, [], member)

    assert len(chosen) == len(random) + 1


def test_an_id_keeps_its_case(member: Caller) -> None:
    given = "ABCDEF01-89ab-cdef-0123-456789ABCDEF"

    lifecycle.create({"id": given}, {}, [], member)

    assert Image.objects.get().pk == given


def test_an_update_changes_only_what_it_names(make_image: Any, member: Caller) -> None:
    image = make_image(name="a", properties={"kept": "1", "gone": "2", "new": "3"})

    changes = Changes({"min_ram": 5}, {"new": "4"}, {"gone"})
    lifecycle.update(image.pk, changes, member)

    image = current(image)
    assert (image.name, image.min_ram) == ("a", 5)
    assert image.properties == {"kept": "1", "new": "4"}


def test_an_update_moves_updated_at(make_image: Any, member: Caller) -> None:
    image = make_image()

    lifecycle.update(image.pk, Changes({"name": "b"}), member)

    assert current(image).updated_at > image.updated_at
    assert current(image).created_at == image.created_at


def test_an_empty_update_changes_nothing(make_image: Any, member: Caller) -> None:
    image = make_image()

    lifecycle.update(image.pk, Changes(), member)

    assert current(image).updated_at == image.updated_at
    assert not Event.objects.exists()


def test_the_history_tells_what_was_changed(make_image: Any, member: Caller) -> None:
    image = make_image(name="a", properties={"os": "debian"})

    lifecycle.update(image.pk, Changes({"name": "b"}, {"os": "ubuntu"}), member)

    detail = Event.objects.get().detail
    assert detail == {"name": ["a", "b"], "os": ["debian", "ubuntu"]}


def test_an_update_never_touches_the_status(make_image: Any, member: Caller) -> None:
    image = make_image(status="saving")

    lifecycle.update(image.pk, Changes({"name": "b"}), member)

    assert current(image).status == Status.SAVING


@pytest.mark.parametrize("status", ["active", "saving", "deactivated"])
def test_formats_are_fixed_once_there_is_data(
    status: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status=status)

    with pytest.raises(errors.Forbidden, match="queued image"):
        lifecycle.update(image.pk, Changes({"disk_format": "iso"}), member)


def test_what_is_wrong_with_one_change_undoes_all(
    make_image: Any, member: Caller
) -> None:
    image = make_image(name="a")

    with pytest.raises(errors.Invalid):
        lifecycle.update(image.pk, Changes({"name": "b", "min_ram": -1}), member)

    assert current(image).name == "a"


def test_there_is_a_limit_to_properties(make_image: Any, member: Caller) -> None:
    image = make_image(properties={str(number): "" for number in range(128)})

    with pytest.raises(errors.OverLimit, match="129"):
        lifecycle.update(image.pk, Changes(properties={"one": "more"}), member)


def test_too_many_properties_can_still_become_fewer(
    make_image: Any, member: Caller
) -> None:
    image = make_image(properties={str(number): "" for number in range(130)})

    lifecycle.update(image.pk, Changes(removed={"0"}), member)

    assert len(current(image).properties) == 129


def test_properties_above_a_lowered_limit_can_be_sent_again(
    make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image(properties={"a": "1", "b": "2", "c": "3"})
    settings.IMAGECATALOG_IMAGE_PROPERTY_QUOTA = 1

    changes = Changes(properties={"a": "1", "b": "new"}, removed={"c"})
    lifecycle.update(image.pk, changes, member)

    assert current(image).properties == {"a": "1", "b": "new"}


def test_properties_that_are_too_long_can_become_shorter(
    make_image: Any, member: Caller
) -> None:
    image = make_image(properties={str(number): "x" * 60_000 for number in range(6)})

    with pytest.raises(errors.OverLimit):
        lifecycle.update(image.pk, Changes(properties={"0": "x" * 60_001}), member)
    lifecycle.update(image.pk, Changes(properties={"0": "x"}), member)

    assert current(image).properties["0"] == "x"


def test_there_is_a_limit_to_the_length_of_all_properties(
    make_image: Any, member: Caller
) -> None:
    image = make_image(properties={str(number): "x" * 65_000 for number in range(4)})

    with pytest.raises(errors.OverLimit, match="characters"):
        lifecycle.update(image.pk, Changes(properties={"one": "x" * 3000}), member)
    lifecycle.update(image.pk, Changes(properties={"0": ""}), member)

    assert current(image).properties["0"] == ""


def test_the_history_keeps_digest_and_length_of_long_values(
    make_image: Any, member: Caller
) -> None:
    image, long = make_image(properties={"a": "x" * 255}), "é" * 60_000

    lifecycle.update(image.pk, Changes(properties={"a": long}), member)

    digest = hashlib.sha256(long.encode()).hexdigest()
    kept = ["x" * 255, f"sha256:{digest} (60000 characters)"]
    assert Event.objects.get().detail == {"a": kept}


def test_the_history_keeps_digests_of_many_values_of_medium_length(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    properties = {f"{number}": "x" * 255 for number in range(100)} | {"short": "y"}

    lifecycle.update(image.pk, Changes(properties=properties), member)

    detail = Event.objects.get().detail
    assert detail["short"] == [None, "y"]
    assert detail["0"][1].endswith("(255 characters)")


def test_the_history_keeps_the_digest_of_many_long_tags(
    make_image: Any, member: Caller
) -> None:
    image = make_image(tags=["a" * 200])

    lifecycle.update(
        image.pk,
        Changes(fields={"tags": [f"{number:0200}" for number in range(100)]}),
        member,
    )

    before, after = Event.objects.get().detail["tags"]
    assert before == ["a" * 200]
    assert after.startswith("sha256:")


def test_a_tag_is_put_once(make_image: Any, member: Caller) -> None:
    image = make_image(tags=["b"])

    lifecycle.tag(image.pk, "a", member)
    lifecycle.tag(image.pk, "a", member)

    assert current(image).tags == ["a", "b"]
    assert Event.objects.count() == 1


def test_a_tag_that_is_not_there_cannot_be_taken_off(
    make_image: Any, member: Caller
) -> None:
    image = make_image(tags=["b"])

    with pytest.raises(errors.NotFound):
        lifecycle.untag(image.pk, "a", member)


def test_tags_above_a_lowered_limit_can_be_taken_off(
    make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image(tags=["a", "b", "c"])
    settings.IMAGECATALOG_IMAGE_TAG_QUOTA = 1

    lifecycle.untag(image.pk, "a", member)
    lifecycle.update(image.pk, Changes({"tags": ["c", "b"], "name": "new"}), member)

    assert current(image).tags == ["b", "c"]


def test_tags_above_a_lowered_limit_cannot_be_exchanged(
    make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image(tags=["a", "b", "c"])
    settings.IMAGECATALOG_IMAGE_TAG_QUOTA = 1

    with pytest.raises(errors.OverLimit, match="Attempted: 2, Maximum: 1"):
        lifecycle.update(image.pk, Changes({"tags": ["a", "new"]}), member)


def test_there_is_a_limit_to_tags(make_image: Any, member: Caller) -> None:
    image = make_image(tags=[f"{number:03}" for number in range(128)])

    with pytest.raises(errors.OverLimit):
        lifecycle.tag(image.pk, "one-more", member)
