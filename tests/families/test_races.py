"""Promotions that meet each other and readers: a name always means exactly one image."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q

from images import errors, families, lifecycle, listing
from images.access import Caller
from images.families import promotion
from images.listing import Listing
from images.models import Family, FamilyEvent, Image

WRITERS, READERS = 4, 8
PROMOTIONS = 25  # by each writer

NAME = "debian-13"


@pytest.fixture
def versions(make_image: Any, member: Caller, settings: Any) -> list[Image]:
    """The images of the versions a and b, of which a is current."""
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 0
    families.create(member, {"name": NAME, "architecture": "x86_64"})
    images = [make_image("active") for _ in "ab"]
    for label, image in zip("ab", images, strict=True):
        families.add(member, NAME, image.pk, label=label)
    families.promote(member, NAME, "a")
    return images


def concurrently(work: Callable[[int], Any], number: int) -> Iterator[Any]:
    """The results of ``work(0)``, ``work(1)``…, each in a thread with a connection of its own."""

    def go(seed: int) -> Any:
        try:
            return work(seed)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as threads:
        yield from threads.map(go, range(number))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_readers_see_one_image_whoever_promotes(
    versions: list[Image], member: Caller
) -> None:
    ended = Event()

    def write(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(PROMOTIONS):
            families.promote(member, NAME, choose.choice("ab"))

    def read(seed: int) -> set[int]:
        seen = set()
        while not ended.is_set():
            where = Q(name=NAME, os_hidden=False)
            seen.add(len(listing.page(member, Listing(where=where)).rows))
        return seen

    def work(seed: int) -> set[int]:
        if seed >= WRITERS:
            return read(seed)
        write(seed)
        return set()

    with ThreadPoolExecutor(1) as outer:
        found = outer.submit(lambda: list(concurrently(read, READERS)))
        try:
            list(concurrently(write, WRITERS))
        finally:
            ended.set()
        seen = set().union(*found.result())

    assert seen == {1}
    current = Family.objects.get().current
    assert current is not None
    shown = Image.objects.get(os_hidden=False)
    assert shown.pk == current.image_id
    promotions = FamilyEvent.objects.filter(verb="promote").order_by("pk")
    # Each begins where the one before it has ended.
    ends = [(it.from_version, it.to_version) for it in promotions]
    assert all(one[1] == two[0] for one, two in itertools.pairwise(ends))


@pytest.mark.django_db(transaction=True)
def test_an_image_is_either_deleted_or_promoted(
    versions: list[Image], member: Caller, make_image: Any
) -> None:
    def promote() -> None:
        families.promote(member, NAME, label)

    def delete() -> None:
        lifecycle.delete(image.pk, member)

    def attempt(number: int) -> bool:
        try:
            (promote, delete)[number]()
        except errors.Conflict:
            return False
        return True

    for label in map(str, range(8)):
        image = make_image("active")
        families.add(member, NAME, image.pk, label=label)
        promoted, deleted = concurrently(attempt, 2)

        assert promoted != deleted
        current = Family.objects.get().current
        assert current is not None
        assert (current.image_id == image.pk) == promoted
        status = Image.objects.get(pk=image.pk).status
        assert (status == "active") == promoted


@pytest.mark.django_db
def test_a_promotion_that_breaks_off_changes_nothing(
    versions: list[Image], member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*args: Any, **options: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(promotion, "record", end)  # both images are changed by then
    with pytest.raises(SystemExit):
        families.promote(member, NAME, "b")

    family = Family.objects.get()
    assert (family.current.label if family.current else "") == "a"
    hidden = Image.objects.order_by("family_version").values_list(
        "os_hidden", flat=True
    )
    assert list(hidden) == [False, True]
