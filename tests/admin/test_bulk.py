"""Actions on many: a question first, then a report for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from images.admin import action_views
from images.models import Event, Image
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]


def statuses() -> list[str]:
    return sorted(Image.objects.values_list("status", flat=True))


def ask(client: Client, verb: str, *images: Image, query: str = "", **form: str) -> Any:
    """Request an action as the list does when a user ticks boxes and chooses the action."""
    ids = [image.pk for image in images]
    form = {"action": verb, "select_across": "0", "index": "0"} | form
    return client.post(f"{LIST}{query}", form | {"_selected_action": ids})


def confirm(client: Client, verb: str, *images: Image, count: int, **more: str) -> Any:
    """Confirm an action as the page that asks for confirmation does."""
    query = more.pop("query", "")
    ids = [image.pk for image in images]
    form = {"action": verb, "select_across": "0", "reason": "a test"} | more
    form |= {"confirmed": str(count), "_selected_action": ids}
    return client.post(f"{LIST}{query}", form)


def test_an_action_asks_first(root: Client, make_image: MakeImage) -> None:
    images = [make_image("active", name="one"), make_image("active", name="two")]

    page = ask(root, "delete", *images).content.decode()

    assert "one" in page
    assert "two" in page
    assert "Reason" in page
    assert statuses() == ["active", "active"]


def test_mixed_results_are_reported_image_by_image(
    root: Client, make_image: MakeImage
) -> None:
    images = [
        make_image("active"),
        make_image("queued"),
        make_image("active", protected=True, name="the protected one"),
    ]

    page = confirm(root, "delete", *images, count=3).content.decode()

    assert "2 done, 1 refused" in page
    assert "the protected one" in page
    assert "is protected and cannot be deleted" in page
    assert statuses() == ["active", "deleted", "pending_delete"]


def test_the_reason_is_in_the_history_of_each(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active"), make_image("active")]

    confirm(root, "deactivate", *images, count=2, reason="recalled")

    assert list(Event.objects.values_list("reason", flat=True)) == ["recalled"] * 2


def test_without_a_reason_nothing_is_done(root: Client, make_image: MakeImage) -> None:
    page = confirm(root, "delete", make_image("active"), count=1, reason="")

    assert "This field is required" in page.content.decode()
    assert statuses() == ["active"]


def test_all_that_match_can_be_moved(root: Client, make_image: MakeImage) -> None:
    images = [make_image("active", tags=["old"]) for _ in range(3)]
    make_image("active")

    page = confirm(
        root,
        "delete",
        images[0],
        count=3,
        select_across="1",
        query="?tag=old",
    ).content.decode()

    assert "3 done, 0 refused" in page
    assert statuses() == ["active", *["pending_delete"] * 3]


def test_what_matches_only_since_it_was_confirmed_is_asked_for_again(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active") for _ in range(3)]

    page = confirm(root, "delete", images[0], count=2, select_across="1")

    assert "the number of matching images is now 3" in page.content.decode()
    assert statuses() == ["active"] * 3


def test_more_than_can_be_counted_is_refused(
    root: Client, make_image: MakeImage, monkeypatch: Any
) -> None:
    monkeypatch.setattr(action_views, "COUNTED", 2)
    images = [make_image("active") for _ in range(3)]

    response = ask(root, "delete", images[0], select_across="1")

    assert response.status_code == 302
    assert "more than 2 images" in root.get(LIST).content.decode()
    assert statuses() == ["active"] * 3


def test_who_may_not_is_not_offered_the_action_and_cannot_forge_it(
    signed_in: Callable[..., Client], make_image: MakeImage
) -> None:
    operator = signed_in("operator")
    image = make_image("active")

    page = operator.get(LIST).content.decode()
    confirm(operator, "delete", image, count=1)
    confirm(operator, "delete_selected", image, count=1)

    assert '<option value="deactivate">' in page
    assert '<option value="delete">' not in page
    assert statuses() == ["active"]
