"""The sentences of the confirmation pages name what happens to the images, with the numbers."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from images import families
from images.access import Caller
from images.models import Image
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]
MIB = 1 << 20


def text_of(page: str) -> str:
    """Return the sentence of a confirmation page."""
    sentence = page.split('<p class="consequence')[1].split(">", 1)[1]
    return unescape(sentence.split("</p>")[0])


def one(client: Client, image: Image, verb: str) -> str:
    return text_of(client.get(f"{LIST}{image.pk}/move/{verb}/").content.decode())


def many(client: Client, verb: str, *images: Image) -> str:
    form: dict[str, Any] = {"action": verb, "select_across": "0", "index": "0"}
    form["_selected_action"] = [it.pk for it in images]
    page = client.post(LIST, form, follow=True)
    return text_of(page.content.decode())


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Set the time to noon on 28 November, and the scrub time to a day."""
    noon = timezone.now().replace(2026, 11, 28, 12, 0, 0, 0)
    monkeypatch.setattr("images.admin.consequences.timezone.now", lambda: noon)
    settings.IMAGECATALOG_SCRUB_TIME = 86400


@pytest.mark.parametrize(
    ("status", "verb", "sentence"),
    [
        (
            "active",
            "delete",
            "Moves to the trash with its 856 MiB. "
            "You can restore it until 29 Nov 12:00 UTC.",
        ),
        ("queued", "delete", "Deletes it permanently; there is no data to keep."),
        (
            "saving",
            "delete",
            "Cancels the upload and discards the 96 MiB received so far. "
            "Deletes the image permanently.",
        ),
        (
            "saving",
            "fail",
            "Cancels the upload and discards the 96 MiB received so far. "
            "The image goes back to Queued, and you can upload again.",
        ),
        ("active", "restore", "Only images in the trash can be restored."),
        (
            "pending_delete",
            "restore",
            "Restores the image to Active with its 856 MiB, properties, tags and members.",
        ),
    ],
)
def test_the_page_of_one_image_names_its_own_consequences(
    root: Client, make_image: MakeImage, status: str, verb: str, sentence: str
) -> None:
    image = make_image(status, size=856 * MIB)
    image.transfers.update(bytes_received=96 * MIB)

    assert one(root, image, verb) == sentence


def test_a_protected_image_is_not_said_to_be_deleted(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", protected=True)

    assert one(root, image, "delete").startswith("The image is protected.")


def test_without_delayed_deletion_the_data_is_deleted(
    root: Client, make_image: MakeImage, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image("active", size=856 * MIB)

    page = root.get(f"{LIST}{image.pk}/move/delete/").content.decode()

    assert text_of(page) == "Deletes the image permanently. You cannot restore it."
    assert "856 MiB will be deleted." in page


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (
            5,
            "Moves to the trash with its 5 B. You can restore it until 29 Nov 12:00 UTC.",
        ),
        (
            20,
            "Moves to the trash with its 20 B. You can restore it until 29 Nov 12:00 UTC. "
            "The trash of its project is full: the 2 oldest images there are deleted "
            "permanently.",
        ),
        (
            31,
            "It is too large for the trash of its project. "
            "Deletes the image permanently. You cannot restore it.",
        ),
    ],
)
def test_the_page_of_one_image_says_what_a_full_trash_loses(
    root: Client, make_image: MakeImage, settings: Any, size: int, sentence: str
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 30
    for _ in range(3):
        make_image("pending_delete", data=b"x" * 8)
    image = make_image("active", data=b"x" * size)

    assert one(root, image, "delete") == sentence
    form = {"reason": "a test"}
    root.post(f"{LIST}{image.pk}/move/delete/", form)

    left = Image.objects.filter(status="pending_delete").count()
    assert left == {5: 4, 20: 2, 31: 3}[size]


def test_the_page_of_many_images_names_the_sums(
    root: Client, make_image: MakeImage
) -> None:
    images = [
        *(make_image("active", size=856 * MIB) for _ in range(2)),
        make_image("queued", size=None),
        make_image("saving", size=None),
        make_image("active", protected=True),
    ]
    images[3].transfers.update(bytes_received=96 * MIB)

    assert many(root, "delete", *images) == (
        "<strong>4 images will change, 1 will be refused.</strong>\n"
        "Moves 2 images to the trash with their 1.7 GiB. "
        "You can restore them until 29 Nov 12:00 UTC.\n"
        "Deletes 2 images permanently; there is no data to keep.\n"
        "Cancels 1 transfer and discards the 96 MiB received so far."
    )


def test_the_page_of_many_images_leaves_out_the_current_ones_of_families(
    root: Client, make_image: MakeImage, member: Caller
) -> None:
    current, other = (make_image("active", size=856 * MIB) for _ in range(2))
    families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    families.add(member, "debian-13", current.pk, promote=True)

    sentences = many(root, "delete", current, other)

    assert "Moves 1 image to the trash with its 856 MiB." in sentences
    assert "1 image will change, 1 will be refused." in sentences


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("deactivate", "Blocks downloads of 2 images (2 GiB) for everyone"),
        ("restore", "0 images will change, 2 will be refused."),
    ],
)
def test_a_selection_is_told_what_an_action_does(
    root: Client, make_image: MakeImage, verb: str, sentence: str
) -> None:
    images = [make_image("active", size=1024 * MIB) for _ in range(2)]

    assert sentence in many(root, verb, *images)


@pytest.mark.parametrize(
    ("before", "verb", "sentence"),
    [
        ("saving", "fail", "Transfer cancelled. The image is queued."),
        ("active", "delete", "The image was moved to the trash. You can restore it"),
        ("queued", "delete", "The image was deleted permanently."),
        ("pending_delete", "scrub", "The image was deleted permanently."),
        ("pending_delete", "restore", "The image was restored. It is active."),
    ],
)
def test_the_message_says_what_has_happened(
    root: Client, make_image: MakeImage, before: str, verb: str, sentence: str
) -> None:
    image = make_image(before)

    page = root.post(
        f"{LIST}{image.pk}/move/{verb}/", {"reason": "a test"}, follow=True
    )

    assert sentence in page.content.decode()
