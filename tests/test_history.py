from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import history
from images.models import Event, Image, Transfer


@pytest.fixture
def image(make_image: Any) -> Image:
    return make_image()


def leave(image: Image, verb: str, **fields: Any) -> Event:
    fields = {"to_status": "queued", "interface": "v2"} | fields
    return Event.objects.create(image=image, verb=verb, **fields)


def verbs(events: list[dict[str, Any]]) -> list[str]:
    return [event["verb"] for event in events]


def test_events_come_oldest_first_and_only_of_this_image(
    image: Image, make_image: Any
) -> None:
    leave(image, "one")
    leave(make_image(), "other")
    leave(image, "two")

    assert verbs(history.events(image.pk).events) == ["one", "two"]


def test_the_next_page_begins_behind_the_last_event(image: Image) -> None:
    for verb in ("one", "two", "three"):
        leave(image, verb)

    first = history.events(image.pk, limit=2)

    assert verbs(first.events) == ["one", "two"]
    assert first.has_more
    assert verbs(history.events(image.pk, after=first.events[-1]["id"]).events) == [
        "three"
    ]


def test_a_page_of_long_events_ends_early(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_LENGTH", 150)
    for verb in ("one", "two", "three"):
        leave(image, verb, detail={"text": "x" * 100})

    first = history.events(image.pk)
    rest = history.events(image.pk, after=first.events[-1]["id"])

    assert (verbs(first.events), first.has_more) == (["one", "two"], True)
    assert (verbs(rest.events), rest.has_more) == (["three"], False)


def test_an_event_longer_than_a_page_is_a_page(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_LENGTH", 50)
    for verb in ("one", "two"):
        leave(image, verb, detail={"text": "x" * 100})

    assert verbs(history.events(image.pk).events) == ["one"]


def test_events_are_chosen_by_actor_interface_and_time(image: Image) -> None:
    now = timezone.now()
    leave(image, "old", at=now - timedelta(days=2))
    leave(image, "new", at=now, actor="eve", interface="admin")

    assert verbs(history.events(image.pk, actor="eve").events) == ["new"]
    assert verbs(history.events(image.pk, interface="v2").events) == ["old"]
    assert verbs(history.events(image.pk, since=now).events) == ["new"]
    assert verbs(history.events(image.pk, until=now).events) == ["old"]


def test_the_newest_events_keep_their_order(image: Image) -> None:
    for verb in ("one", "two", "three"):
        leave(image, verb)

    newest = history.newest(image.pk, limit=2)
    older = history.newest(image.pk, before=newest.events[0]["id"], limit=2)

    assert (verbs(newest.events), newest.has_more) == (["two", "three"], True)
    assert (verbs(older.events), older.has_more) == (["one"], False)


def test_a_page_of_the_newest_events_ends_early_when_they_are_long(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_LENGTH", 150)
    for verb in ("one", "two", "three"):
        leave(image, verb, detail={"text": "x" * 100})

    newest = history.newest(image.pk)

    assert (verbs(newest.events), newest.has_more) == (["two", "three"], True)


def test_an_unknown_image_has_no_history(db: None) -> None:
    assert history.events("nothing") == ([], False)
    assert history.last_error("nothing") is None


def attempt(image: Image, status: str, minutes_ago: int, **fields: Any) -> None:
    Transfer.objects.create(
        image=image,
        kind="upload",
        status=status,
        ended_at=timezone.now() - timedelta(minutes=minutes_ago),
        **fields,
    )


def test_the_last_error_is_that_of_the_newest_attempt(image: Image) -> None:
    attempt(image, "failed", 2, error_code="old")
    attempt(
        image,
        "failed",
        1,
        error_code="store-full",
        error="No space.",
        request_id="req-1",
    )

    error = history.last_error(image.pk)

    assert error is not None
    assert error["at"] is not None
    del error["at"]
    assert error == {"code": "store-full", "error": "No space.", "request_id": "req-1"}


def test_a_success_makes_an_error_before_it_forgotten(image: Image) -> None:
    attempt(image, "failed", 2, error_code="store-full")
    attempt(image, "done", 1)

    assert history.last_error(image.pk) is None


def test_an_error_stays_visible_while_another_attempt_runs(image: Image) -> None:
    attempt(image, "failed", 2, error_code="store-full")
    Transfer.objects.create(image=image, kind="upload")

    error = history.last_error(image.pk)

    assert error is not None
    assert error["code"] == "store-full"
