"""image_find as an operator sees it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.core.management import CommandError, call_command

DATA = b"the bytes of an image"
SHA256 = hashlib.sha256(DATA).hexdigest()
SHA512 = hashlib.sha512(DATA).hexdigest()


def test_images_are_found_by_their_digest(make_image: Any, capsys: Any) -> None:
    image = make_image("active", name="debian", digests={"sha256": SHA256})
    trashed = make_image("pending_delete", digests={"sha256": SHA256})
    make_image("active")

    call_command("image_find", "--sha256", SHA256)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{image.pk} active debian", f"{trashed.pk} pending_delete"]


def test_the_digests_in_the_columns_of_an_image_count(
    make_image: Any, capsys: Any
) -> None:
    image = make_image("active", data=DATA)

    call_command("image_find", "--sha512", SHA512)
    call_command("image_find", "--md5", image.checksum)

    assert capsys.readouterr().out == f"{image.pk} active\n" * 2


def test_an_unknown_digest_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="No image has this digest"):
        call_command("image_find", "--sha256", SHA256)


def test_a_malformed_digest_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="This is not a digest"):
        call_command("image_find", "--sha256", SHA512)
