from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from images import errors, lifecycle
from images.models import Event, Image, Transfer

THEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
MALFORMED = (
    "since=yesterday",
    "until=2026-13-01",
    "since=0001-01-01T00:00:00%2B14:00",
    "limit=0",
    "limit=many",
    "marker=first",
    "actor=%00",
    "interface=nowhere",
    "interface=",
    "interface=%00",
    "door=nowhere",
    "door=",
    "door=%00",
)


def history(client: Any, image: Image, query: str = "") -> Any:
    return client.get(f"/v2/images/{image.pk}/history{query}")


def verbs(client: Any, image: Image, query: str = "") -> list[str]:
    response = history(client, image, query)
    assert response.status_code == 200, response.content
    return [event["verb"] for event in response.json()["history"]]


def remember(image: Image, verb: str, **fields: Any) -> Event:
    given = {"to_status": "active", "interface": "v2"} | fields
    return Event.objects.create(image=image, verb=verb, **given)


def test_a_history_tells_who_did_what_when_and_why(api: Any, make_image: Any) -> None:
    image = make_image("active")
    event = remember(
        image,
        "deactivate",
        at=THEN + timedelta(microseconds=70),
        from_status="active",
        to_status="deactivated",
        actor="alice",
        project="project-a",
        request_id="req-1",
        reason="a virus",
    )

    assert history(api.member, image).json() == {
        "history": [
            {
                "id": event.pk,
                "at": "2026-01-01T12:00:00.000070Z",
                "verb": "deactivate",
                "from_status": "active",
                "to_status": "deactivated",
                "actor": "alice",
                "project": "project-a",
                "interface": "v2",
                "door": "v2",
                "request_id": "req-1",
                "reason": "a virus",
                "detail": {},
            }
        ],
        "last_error": None,
    }


def test_what_is_done_through_the_api_is_in_the_history(
    api: Any, create: Any, change: Any
) -> None:
    image = Image(pk=create(api.member, name="old").json()["id"])
    change(api.member, image, {"op": "replace", "path": "/name", "value": "new"})

    created, updated = history(api.reader, image).json()["history"]

    assert (created["verb"], created["from_status"]) == ("create", "")
    assert (updated["verb"], updated["detail"]) == ("update", {"name": ["old", "new"]})
    assert updated["interface"] == updated["door"] == "v2"
    assert updated["request_id"].startswith("req-")


# Who may read it


@pytest.mark.parametrize("status", ["pending_delete", "deleted"])
def test_a_deleted_image_has_a_history_but_for_others_it_is_gone(
    status: str, api: Any, make_image: Any
) -> None:
    image = make_image(status, visibility="public")
    remember(image, "delete")

    for client in (api.admin, api.member, api.reader):
        assert verbs(client, image) == ["delete"]
    assert history(api.stranger, image).status_code == 404


def test_of_a_purged_image_an_admin_gets_an_empty_history(
    api: Any, make_image: Any
) -> None:
    image = make_image("deleted", owner="", purged=True)

    assert verbs(api.admin, image) == []
    assert history(api.member, image).status_code == 404


def test_an_unknown_image_has_no_history(api: Any, db: None) -> None:
    assert history(api.admin, Image(pk=str(uuid4()))).status_code == 404


# What it does not tell


def test_where_data_is_kept_is_told_to_admins_only(api: Any, make_image: Any) -> None:
    image = make_image("active")
    detail = {"size": 7, "store": "cold", "key": "ab/cd", "url": "s3://bucket/ab/cd"}
    remember(image, "receive", detail=detail)

    (told,) = history(api.member, image).json()["history"]
    (told_to_admin,) = history(api.admin, image).json()["history"]

    assert told["detail"] == {"size": 7}
    assert told_to_admin["detail"] == detail


def test_a_property_may_be_called_like_a_secret(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image("active")
    change(api.member, image, {"op": "add", "path": "/url", "value": "x"})

    (event,) = history(api.reader, image).json()["history"]

    assert event["detail"] == {"url": [None, "x"]}


def test_no_history_of_a_whole_life_names_a_key(
    api: Any, make_image: Any, member: Any
) -> None:
    image = make_image()
    lifecycle.upload(image.pk, [b"the bytes"], member)
    key = image.locations.get().key
    lifecycle.delete(image.pk, member)

    text = history(api.member, image).content.decode()

    assert key not in text
    assert key.rpartition(".")[2] not in text.replace("-", "")


# Filters and pages


@pytest.fixture
def eventful(make_image: Any) -> Image:
    image = make_image("active")
    remember(make_image(), "of another image", at=THEN)
    remember(image, "one", at=THEN, actor="alice", interface="v2")
    remember(image, "two", at=THEN + timedelta(hours=1), actor="bob", interface="admin")
    remember(
        image, "three", at=THEN + timedelta(hours=2), actor="alice", interface="admin"
    )
    return image


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["one", "two", "three"]),
        ("actor=alice", ["one", "three"]),
        ("interface=admin", ["two", "three"]),
        ("door=admin", ["two", "three"]),
        ("actor=alice&interface=admin", ["three"]),
        ("since=2026-01-01T13:00:00Z", ["two", "three"]),
        ("until=2026-01-01T13:00:00Z", ["one"]),
        ("since=2026-01-01T13:00:00&until=2026-01-01T15:00:00%2B01:00", ["two"]),
        ("since=2026-01-02", []),
        ("limit=2", ["one", "two"]),
        ("limit=1000", ["one", "two", "three"]),
        (f"limit={10**30}", ["one", "two", "three"]),
        ("colour=red", ["one", "two", "three"]),
    ],
)
def test_a_history_can_be_narrowed(
    query: str, expected: list[str], api: Any, eventful: Image
) -> None:
    assert verbs(api.member, eventful, f"?{query}") == expected


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_next_links_lead_through_the_whole_history(
    limit: int, api: Any, eventful: Image
) -> None:
    url, seen, pages = f"/v2/images/{eventful.pk}/history?limit={limit}", [], 0
    while url:
        page = api.member.get(url).json()
        seen += [event["verb"] for event in page["history"]]
        url, pages = page.get("next"), pages + 1

    assert seen == ["one", "two", "three"]
    assert pages == -(-3 // limit)


def test_the_next_link_keeps_the_filters(api: Any, eventful: Image) -> None:
    asked = "?limit=1&until=2026-01-01T16:00:00%2B01:00&actor=alice"

    page = history(api.member, eventful, asked).json()

    marker = page["history"][-1]["id"]
    assert page["next"] == (
        f"/v2/images/{eventful.pk}/history?actor=alice"
        f"&until=2026-01-01T16%3A00%3A00%2B01%3A00&limit=1&marker={marker}"
    )
    assert [event["verb"] for event in api.member.get(page["next"]).json()["history"]]


@pytest.mark.parametrize("query", MALFORMED)
def test_a_malformed_question_is_400(query: str, api: Any, make_image: Any) -> None:
    assert history(api.member, make_image(), f"?{query}").status_code == 400


def test_an_unknown_interface_is_answered_with_the_known_ones(
    api: Any, make_image: Any
) -> None:
    text = history(api.member, make_image(), "?interface=nowhere").content.decode()

    assert (
        "The interface must be one of: v1, v2, catalog, admin, command, worker." in text
    )


def test_a_history_takes_no_body_and_no_other_method(api: Any, make_image: Any) -> None:
    url = f"/v2/images/{make_image().pk}/history"

    assert api.member.generic("GET", url, b"{}").status_code == 400
    assert api.member.post(url).status_code == 405


@pytest.mark.parametrize("events", [1, 30])
def test_a_history_asks_a_constant_number_of_queries(
    events: int, api: Any, make_image: Any, django_assert_max_num_queries: Any
) -> None:
    image = make_image("active")
    for _ in range(events):
        remember(image, "update")
    client = api.member

    with django_assert_max_num_queries(5):
        verbs(client, image)


# The last error


def test_the_last_error_says_why_there_is_no_data(
    api: Any, make_image: Any, member: Any
) -> None:
    image = make_image()
    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [b"short"], member, expected_size=9)

    error = history(api.member, image).json()["last_error"]

    ended = Transfer.objects.get().ended_at
    assert ended is not None
    assert error == {
        "code": "size-mismatch",
        "message": "Size mismatch: expected 9 bytes, got 5 bytes.",
        "request_id": "",
        "time": f"{ended:%Y-%m-%dT%H:%M:%S.%fZ}",
    }


def test_a_later_success_ends_the_last_error(
    api: Any, make_image: Any, member: Any
) -> None:
    image = make_image()
    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [b"short"], member, expected_size=9)
    lifecycle.upload(image.pk, [b"long enough"], member)

    assert history(api.member, image).json()["last_error"] is None


def test_a_new_owner_reads_no_values_of_the_old_one(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image(properties={"password": "s3cret"})
    change(api.member, image, {"op": "replace", "path": "/password", "value": "hidden"})
    api.member.post(
        f"/v2/images/{image.pk}/members", '{"member": "a-partner"}', "application/json"
    )
    change(
        api.admin,
        image,
        {"op": "remove", "path": "/password"},
        {"op": "replace", "path": "/owner", "value": "project-b"},
    )
    change(api.stranger, image, {"op": "add", "path": "/mine", "value": "own-value"})

    seen = history(api.stranger, image).json()["history"]
    known = history(api.admin, image).content.decode()

    assert [event["detail"] for event in seen] == [
        {"password": None},
        {"member": None, "can_share": None},
        {"owner": ["project-a", "project-b"], "password": None},
        {"mine": [None, "own-value"]},
    ]
    assert all(word in known for word in ("s3cret", "hidden", "a-partner"))


def test_an_owner_reads_the_values_of_its_own_time(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image(properties={"a": "1"})
    change(api.member, image, {"op": "remove", "path": "/a"})

    assert history(api.member, image).json()["history"][0]["detail"] == {
        "a": ["1", None]
    }


def test_a_new_owner_reads_no_message_of_an_older_error(
    api: Any, make_image: Any, member: Any, change: Any
) -> None:
    image = make_image()
    with pytest.raises(errors.Invalid):
        lifecycle.upload(image.pk, [b"short"], member, expected_size=9)
    change(api.admin, image, {"op": "replace", "path": "/owner", "value": "project-b"})

    seen = history(api.stranger, image).json()["last_error"]
    known = history(api.admin, image).json()["last_error"]

    assert (seen["code"], seen["message"]) == ("size-mismatch", None)
    assert known["message"].startswith("Size mismatch")
