"""Names that are hard to see: blank ones, and those that turn the text around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client

from images.admin import formatting
from images.models import Image
from tests.admin.conftest import LIST

TURNED = "invoice\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
MakeImage = Callable[..., Image]


def pages(client: Client, image: Image) -> list[str]:
    """All pages that name an image."""
    below = ("change/", "edit/", "move/delete/", "upload/", "import/", "locations/add/")
    found: list[Any] = [client.get(f"{LIST}{image.pk}/{path}") for path in below]
    form = {"action": "restore", ACTION_CHECKBOX_NAME: [image.pk], "reason": "x"}
    found += [client.get(LIST), preview := client.post(LIST, form, follow=True)]
    address = preview.redirect_chain[0][0]
    found += [client.post(address, {"reason": "x"}, follow=True)]
    return [answer.content.decode() for answer in found]


@pytest.mark.parametrize(
    "name", [None, "", "   ", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH JOINER}"]
)
def test_an_image_with_a_blank_name_is_called_unnamed(
    root: Client, make_image: MakeImage, name: str | None
) -> None:
    image = make_image("queued", name=name)

    assert ["unnamed image" in page for page in pages(root, image)] == [True] * 9


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\N{ZERO WIDTH SPACE}", "[U+200B]"),
        ("\N{HANGUL FILLER}", "[U+3164]"),
        ("de\N{SOFT HYPHEN}bian", "de[U+00AD]bian"),
        ("de\tbian", "de[U+0009]bian"),
        ("\N{ARABIC LETTER MEEM}\N{ZERO WIDTH NON-JOINER}", None),
    ],
)
def test_what_is_invisible_in_a_name_is_shown(name: str, shown: str | None) -> None:
    assert formatting.title(Image(name=name)) == (shown or name)


def test_controls_of_direction_are_shown_as_their_codes(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("queued", name=TURNED)
    change, _edit, *others = pages(root, image)

    for page in (change, *others):
        assert "invoice[U+202E]gnp.exe" in page
        assert TURNED not in page
    edit = root.get(f"{LIST}{image.pk}/edit/")
    assert edit.context["title"] == "Edit invoice[U+202E]gnp.exe"
    assert edit.context["form"]["name"].value() == TURNED  # saved unchanged
