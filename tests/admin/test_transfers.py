"""Transfers of an image in the admin: a copy to another store, its progress, its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from images import imports
from images.access import Caller, rules
from images.imports import ImportRequest
from images.models import Event, Image, Transfer
from images.operations import manual_transitions
from tests.admin.conftest import LIST
from tests.copies import work
from tests.rows import current

MakeImage = Callable[..., Image]


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )


@pytest.fixture
def image(make_image: MakeImage) -> Image:
    return make_image("active", name="disk")


@pytest.fixture
def copy(image: Image, admin: Caller) -> Transfer:
    """A copy that waits for the worker."""
    wanted = ImportRequest("copy-image", store_ids=("far",))
    imports.request_import(image.pk, wanted, admin)
    return Transfer.objects.get()


def page(client: Client, image: Image) -> str:
    return client.get(f"{LIST}{image.pk}/change/").content.decode()


def state(client: Client, image: Image) -> Any:
    return client.get(f"{LIST}{image.pk}/live/").json()


def told(response: Any) -> str:
    """The page on which the browser is then, with its messages."""
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


# Copies to another store


def test_an_image_is_copied_to_another_store(root: Client, image: Image) -> None:
    path = f"{LIST}{image.pk}/copy/"
    assert f'href="{path}"' in page(root, image)

    answer = root.post(path, {"stores": "far"}, follow=True)

    assert "copies the image to: far." in told(answer)
    transfer = Transfer.objects.get()
    assert (transfer.status, transfer.store, transfer.task_user) == (
        "waiting",
        "far",
        "root",
    )
    assert transfer.task_request == {
        "method": {"name": "copy-image"},
        "stores": ["far"],
    }
    event = Event.objects.get()
    assert (event.verb, event.actor, event.interface) == (
        "request_copy_image",
        "root",
        "admin",
    )
    work()
    assert {it.store for it in image.locations.all()} == {"local", "far"}


def test_only_stores_that_do_not_have_the_data_are_offered(
    root: Client, image: Image
) -> None:
    form = root.get(f"{LIST}{image.pk}/copy/").context["form"]
    assert form.fields["stores"].choices == [("far", "far")]

    answer = root.post(f"{LIST}{image.pk}/copy/", {"stores": "local"})

    assert "local is not one of the available choices" in told(answer)
    assert not Transfer.objects.exists()


def test_the_store_of_a_damaged_copy_is_offered_too(root: Client, image: Image) -> None:
    image.locations.update(damage="wrong-digest: md5 differs")

    form = root.get(f"{LIST}{image.pk}/copy/").context["form"]

    assert [store_id for store_id, _ in form.fields["stores"].choices] == [
        "local",
        "far",
    ]


def test_an_image_is_copied_to_several_stores(
    root: Client, image: Image, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",third=file://{tmp_path}/third"
    sent = {"stores": ["far", "third"], "allow_failure": "on"}

    answer = root.post(f"{LIST}{image.pk}/copy/", sent, follow=True)

    assert "copies the image to: far, third." in told(answer)
    targets = Transfer.objects.get().targets.order_by("pk")
    assert list(targets.values_list("store", "required")) == [
        ("far", False),
        ("third", False),
    ]
    work()
    assert {it.store for it in image.locations.all()} == {"local", "far", "third"}


def test_a_failure_can_be_allowed_only_where_there_are_several_stores(
    root: Client, image: Image, settings: Any, tmp_path: Path
) -> None:
    path = f"{LIST}{image.pk}/copy/"
    assert "Allow failure" not in told(root.get(path))

    settings.IMAGECATALOG_STORES += f",third=file://{tmp_path}/third"

    assert "Allow failure" in told(root.get(path))


def test_a_copy_needs_a_store(root: Client, image: Image) -> None:
    answer = root.post(f"{LIST}{image.pk}/copy/", {})

    assert "This field is required" in told(answer)
    assert not Transfer.objects.exists()


def test_an_image_that_is_in_every_store_is_not_copied(
    root: Client, image: Image
) -> None:
    image.locations.create(store="far", key="x")

    answer = root.get(f"{LIST}{image.pk}/copy/", follow=True)

    assert "Every store has the data of the image already." in told(answer)
    assert f"{LIST}{image.pk}/copy/" not in page(root, image)


@pytest.mark.parametrize("status", ["queued", "deactivated", "pending_delete"])
def test_an_image_that_is_not_active_is_not_copied(
    root: Client, make_image: MakeImage, status: str
) -> None:
    image = make_image(status)

    answer = root.post(f"{LIST}{image.pk}/copy/", {"stores": "far"}, follow=True)

    assert "Only active images can be copied" in told(answer)
    assert not Transfer.objects.exists()


def test_copies_are_not_offered_where_the_method_is_switched_off(
    root: Client, image: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ("web-download",)

    answer = root.post(f"{LIST}{image.pk}/copy/", {"stores": "far"}, follow=True)

    assert "does not offer copies" in told(answer)
    assert f"{LIST}{image.pk}/copy/" not in page(root, image)
    assert not Transfer.objects.exists()


def test_the_policy_file_can_refuse_copies_in_the_admin_too(
    root: Client, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = {"copy_image": lambda caller, image: False}
    monkeypatch.setattr(rules, "overrides", lambda: never)

    answer = root.post(f"{LIST}{image.pk}/copy/", {"stores": "far"})

    assert "not authorized to complete copy_image" in told(answer)
    assert not Transfer.objects.exists()


def test_a_second_copy_is_refused_with_a_sentence(
    root: Client, image: Image, copy: Transfer
) -> None:
    answer = root.post(f"{LIST}{image.pk}/copy/", {"stores": "far"})

    assert "Image has active task" in told(answer)


# Their progress, for pages that wait


def test_the_poll_tells_that_a_copy_moves_and_that_it_has_ended(
    root: Client, image: Image, copy: Transfer
) -> None:
    before = root.get(f"{LIST}{image.pk}/change/").context["state"]
    waiting = state(root, image)
    Transfer.objects.update(status="running", bytes_received=7, bytes_expected=21)
    running = state(root, image)
    Transfer.objects.update(status="waiting")
    work()
    ended = state(root, image)

    assert before == waiting["state"]
    assert len({it["state"] for it in (waiting, running, ended)}) == 3
    assert [it["percent"] for it in running["transfers"]] == [33]
    assert ended["transfers"] == []


# The end of one transfer


def cancel_path(transfer: Transfer) -> str:
    return f"{LIST}{transfer.image_id}/transfers/{transfer.pk}/cancel/"


def test_a_copy_is_cancelled_from_the_page_of_its_image(
    root: Client, image: Image, copy: Transfer
) -> None:
    assert f'href="{cancel_path(copy)}"' in page(root, image)
    question = told(root.get(cancel_path(copy)))
    assert "which has not begun. The image stays Active." in question

    answer = root.post(cancel_path(copy), {"reason": "not needed"}, follow=True)

    assert "Transfer cancelled." in told(answer)
    assert "Copy to another store cancelled:" in told(answer)
    event = Event.objects.latest("pk")
    assert (event.verb, event.actor, event.reason) == ("fail", "root", "not needed")
    assert (Transfer.objects.get().status, current(image).status) == (
        "failed",
        "active",
    )


def test_the_question_tells_what_is_discarded(
    root: Client, image: Image, copy: Transfer
) -> None:
    Transfer.objects.update(status="running", bytes_received=5 << 20)

    question = told(root.get(cancel_path(copy)))

    assert "copy to another store and discards the 5 MiB received so far" in question


def test_a_transfer_that_owns_the_status_gives_it_back(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("saving")
    transfer = image.transfers.get()
    assert "goes back to Queued" in told(root.get(cancel_path(transfer)))

    root.post(cancel_path(transfer), {"reason": "it hangs"})

    assert current(image).status == "queued"


def test_nothing_is_cancelled_without_a_reason(
    root: Client, image: Image, copy: Transfer
) -> None:
    answer = root.post(cancel_path(copy), {"reason": ""})

    assert "This field is required." in told(answer)
    assert Transfer.objects.get().status == "waiting"


def test_a_transfer_that_has_ended_meanwhile_is_not_cancelled(
    root: Client, image: Image, copy: Transfer
) -> None:
    work()

    answer = root.post(cancel_path(copy), {"reason": "late"}, follow=True)

    assert "The transfer has ended already." in told(answer)
    assert Transfer.objects.get().status == "done"


def test_an_unknown_transfer_is_not_found(
    root: Client, image: Image, copy: Transfer, make_image: MakeImage
) -> None:
    other = make_image("active")

    for image_id, transfer_id in ((image.pk, uuid4()), (other.pk, copy.pk)):
        path = f"{LIST}{image_id}/transfers/{transfer_id}/cancel/"
        assert root.post(path, {"reason": "x"}).status_code == 404
    assert Transfer.objects.get().status == "waiting"


def test_an_operator_cancels_and_does_not_copy(
    signed_in: Callable[..., Client], image: Image, copy: Transfer
) -> None:
    operator = signed_in("operator")

    assert operator.get(f"{LIST}{image.pk}/copy/").status_code == 403
    assert operator.post(cancel_path(copy), {"reason": "x"}).status_code == 302
    assert Transfer.objects.get().status == "failed"


@pytest.fixture
def copy_to_two(image: Image, admin: Caller, settings: Any, tmp_path: Path) -> Transfer:
    """A copy to two stores that waits for the worker."""
    settings.IMAGECATALOG_STORES += f",third=file://{tmp_path}/third"
    wanted = ImportRequest("copy-image", store_ids=("far", "third"))
    imports.request_import(image.pk, wanted, admin)
    return Transfer.objects.get()


@pytest.mark.parametrize(
    ("store", "is_shown"), [("far", True), ("third", True), ("local", False)]
)
def test_the_filter_by_store_knows_all_stores_of_a_transfer(
    store: str, is_shown: bool, root: Client, copy_to_two: Transfer
) -> None:
    shown = root.get("/admin/images/transfer/", {"store": store})

    assert (copy_to_two.image_id in shown.content.decode()) is is_shown


def test_the_event_of_a_cancelled_copy_names_all_its_stores(
    admin: Caller, copy_to_two: Transfer
) -> None:
    manual_transitions.cancel(copy_to_two.pk, admin)

    assert Event.objects.latest("pk").detail["store"] == "far,third"
