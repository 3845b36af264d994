from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import access, errors, lifecycle
from images.access import Caller
from images.models import Event, Image, Member, Transfer
from images.operations import purge

NOW = timezone.now() + timedelta(hours=1)


@pytest.fixture
def deleted(make_image: Any) -> Any:
    def make(**fields: Any) -> Image:
        return make_image(
            "deleted",
            **{"name": "secret", "tags": ["a"], "properties": {"k": "v"}} | fields,
        )

    return make


def test_nothing_but_the_id_is_left(deleted: Any, member: Caller) -> None:
    image = deleted(pinned=True, size=4, checksum="ab")
    image.locations.create(store="local", key="ab/x.1", status="deleted")
    Transfer.objects.create(image=image, kind="upload", status="done")
    Member.objects.create(image=image, member="friends")
    Event.objects.create(image=image, verb="create", to_status="queued", interface="v2")

    assert purge.purge_deleted(NOW) == [image.pk]

    left = Image.objects.get()
    empty = Image(id=image.pk, status="deleted", deleted_at=image.deleted_at)
    different = {
        field.name
        for field in Image._meta.concrete_fields
        if getattr(left, field.name) != getattr(empty, field.name)
    }
    assert different == {"owner", "purged", "created_at", "updated_at"}
    for others in ("locations", "transfers", "members", "events"):
        assert not getattr(left, others).exists()


def test_a_purged_image_is_nobodys(deleted: Any, member: Caller) -> None:
    image = deleted()
    purge.purge_deleted(NOW)

    with pytest.raises(errors.NotFound):
        access.get_image(member, image.pk, deleted=True)


def test_its_id_stays_taken(deleted: Any, member: Caller) -> None:
    image = deleted()
    purge.purge_deleted(NOW)

    with pytest.raises(errors.Conflict):
        lifecycle.create({"id": image.pk}, {}, [], member)


def test_a_released_id_can_be_taken_again(deleted: Any, member: Caller) -> None:
    image = deleted()
    purge.purge_deleted(NOW)

    assert purge.purge_deleted(NOW, release_ids=True) == [image.pk]

    assert lifecycle.create({"id": image.pk}, {}, [], member).pk == image.pk


def test_what_was_deleted_later_stays_as_it_is(deleted: Any) -> None:
    image = deleted()

    assert purge.purge_deleted(image.deleted_at) == []

    assert Image.objects.get().name == "secret"


@pytest.mark.parametrize(
    "status", ["queued", "saving", "active", "killed", "pending_delete"]
)
def test_only_deleted_images_are_purged(status: str, make_image: Any) -> None:
    make_image(status, deleted_at=timezone.now())

    assert purge.purge_deleted(NOW, release_ids=True) == []


def test_an_image_whose_bytes_are_not_gone_yet_is_left_alone(deleted: Any) -> None:
    located, running, unclean = deleted(), deleted(), deleted()
    located.locations.create(store="local", key="ab/x.1", status="pending_delete")
    Transfer.objects.create(image=running, kind="upload")
    Transfer.objects.create(image=unclean, kind="upload", status="failed")
    clean = deleted()
    Transfer.objects.create(image=clean, kind="upload", status="failed", cleaned=True)

    assert purge.purge_total(NOW) == (1, 3)
    assert purge.purge_deleted(NOW) == [clean.pk]


def test_batches_follow_each_other_by_id(deleted: Any) -> None:
    ids = sorted(deleted().pk for _ in range(3))

    first = purge.purge_deleted(NOW, batch=2)

    assert first == ids[:2]
    assert purge.purge_deleted(NOW, batch=2, after=first[-1]) == ids[2:]


def test_an_image_is_purged_once(deleted: Any) -> None:
    deleted()

    assert len(purge.purge_deleted(NOW)) == 1
    assert purge.purge_deleted(NOW) == []


def test_the_queries_do_not_depend_on_the_number_of_images(
    deleted: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        deleted()

    with django_assert_max_num_queries(11):
        purge.purge_deleted(NOW)


# Of projects that have deleted very many


def kept() -> set[str]:
    return set(Image.objects.filter(purged=False).values_list("name", flat=True))


def test_the_oldest_of_too_many_deleted_images_are_purged(
    deleted: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_DELETED_IMAGES = 2
    for days in (4, 1, 3, 2):
        deleted(name=f"{days}", deleted_at=NOW - timedelta(days=days))

    purge.purge_excess()

    assert kept() == {"1", "2"}


def test_each_project_keeps_so_many_deleted_images(
    deleted: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_DELETED_IMAGES = 1
    deleted(name="a", owner="a")
    deleted(name="b", owner="b")
    deleted(name="old", owner=None, deleted_at=NOW - timedelta(days=9))
    deleted(name="new", owner=None, deleted_at=NOW)
    make_image("active", name="active", owner="a")
    make_image("pending_delete", name="trash", owner="a")

    purge.purge_excess()

    assert kept() == {"a", "b", "new", "active", "trash"}


def test_an_image_whose_bytes_are_still_there_waits_for_a_later_purge(
    deleted: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_DELETED_IMAGES = 0
    image = deleted(name="a")
    location = image.locations.create(store="local", key="k", status="pending_delete")
    deleted(name="b")

    purge.purge_excess()
    assert kept() == {"a"}
    location.delete()
    purge.purge_excess()

    assert kept() == set()


def test_many_are_purged_in_several_transactions(
    deleted: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_DELETED_IMAGES = 1
    monkeypatch.setattr(purge, "BATCH", 2)
    for number in range(6):
        deleted(name=f"{number}", deleted_at=NOW - timedelta(days=number))

    purge.purge_excess()

    assert kept() == {"0"}


def test_without_a_limit_all_deleted_images_are_kept(
    deleted: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_DELETED_IMAGES = -1
    deleted(name="a")

    purge.purge_excess()

    assert kept() == {"a"}
