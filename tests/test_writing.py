"""Rows that are written by statements that are made once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict

from images.models import Event, Image, writing

pytestmark = pytest.mark.django_db


def stored(image: Image) -> dict[str, object]:
    return model_to_dict(Image.objects.get(pk=image.pk), exclude=["id"])


def test_an_inserted_row_is_as_a_saved_one() -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, Any] = {
        "created_at": then,
        "updated_at": then,
        "name": "a",
        "properties": {"x": "ü"},
        "tags": ["b"],
        "size": 7,
    }
    saved, inserted = Image(**values), Image(**values)
    saved.save(force_insert=True)

    writing.insert(inserted)

    assert stored(inserted) == stored(saved)


def test_the_database_gives_a_row_its_key(make_image: Callable[..., Image]) -> None:
    events = [Event(image=make_image(), verb="test") for _ in range(2)]
    for event in events:
        writing.insert(event)

    assert len(set(Event.objects.filter(verb="test").values_list("pk"))) == 2


def test_a_key_is_inserted_only_once(make_image: Callable[..., Image]) -> None:
    image = make_image()

    with pytest.raises(IntegrityError), transaction.atomic():
        writing.insert(image)


def test_an_update_writes_only_the_named_fields(
    make_image: Callable[..., Image],
) -> None:
    image, other = make_image(name="a", size=1), make_image(name="a")
    image.name, image.size, image.properties = "b", 2, {"x": "y"}

    writing.update(image, ["name", "properties"])

    assert Image.objects.values_list("name", "size", "properties").get(pk=image.pk) == (
        "b",
        1,
        {"x": "y"},
    )
    assert Image.objects.get(pk=other.pk).name == "a"
