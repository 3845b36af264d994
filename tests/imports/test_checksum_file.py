"""Checksum files in the forms that publishers use."""

from __future__ import annotations

import pytest

from images import errors
from images.imports import checksum_file
from images.imports.checksum_file import digests_of

NAME = "disk.qcow2"
MD5, SHA1, SHA256, SHA384, SHA512 = ("ab" * n for n in (16, 20, 32, 48, 64))
OTHER = "cd" * 32
SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# {NAME}: 528482304 bytes
SHA256 ({NAME}) = {SHA256}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE6M6YGQuS6sVVNLyEcTt
=x2zY
-----END PGP SIGNATURE-----
"""


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA256}  {NAME}\n",
        f"{SHA256} *{NAME}\n",
        f"{SHA256}\t{NAME}",
        f"{SHA256}  ./{NAME}\n",
        f"{SHA256} *./{NAME}\r\n",
        f"{SHA256.upper()}  {NAME}\n",
        f"{OTHER}  other.qcow2\n\n{SHA256}  {NAME}\n",
        f"{SHA256}  {NAME}\n{SHA256}  {NAME}\n",
        f"SHA256 ({NAME}) = {SHA256}\n",
        f"SHA256({NAME})= {SHA256}\n",
        f"SHA2-256({NAME})= {SHA256}\n",
        f"SHA256 (./{NAME}) = {SHA256}\n",
        f"MD5 ({NAME}) = {MD5}\nSHA256 ({NAME}) = {SHA256}\n",
        f"{SHA256}\n",
        SHA256,
        SIGNED,
        f"\ufeff{SHA256}  {NAME}\n",
    ],
)
def test_a_digest_is_found_in_every_form(text: str) -> None:
    assert digests_of(text.encode(), NAME) == {"sha256": SHA256}


@pytest.mark.parametrize(
    ("text", "digests"),
    [
        (f"{SHA384}  {NAME}", {"sha384": SHA384}),
        (f"{SHA512}  {NAME}", {"sha512": SHA512}),
        (f"SHA512 ({NAME}) = {SHA512}", {"sha512": SHA512}),
        (f"{SHA256} {NAME}\n{SHA512} {NAME}", {"sha256": SHA256, "sha512": SHA512}),
    ],
)
def test_the_algorithm_is_known_by_the_length_or_by_its_name(
    text: str, digests: dict[str, str]
) -> None:
    assert digests_of(text.encode(), NAME) == digests


@pytest.mark.parametrize("name", ["disk (1).qcow2", "disk image.raw", "bücher.iso"])
def test_names_can_have_spaces_brackets_and_letters_of_any_language(name: str) -> None:
    for text in (f"{SHA256}  {name}\n", f"SHA256 ({name}) = {SHA256}\n"):
        assert digests_of(text.encode(), name) == {"sha256": SHA256}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Not found</html>",
        f"{SHA256}  old-{NAME}\n",
        f"{SHA256}  {NAME}.sig\n",
        f"{SHA256}  folder/{NAME}\n",
        f"{SHA256}  ./\n",
        f"{SHA256[1:]}  {NAME}\n",
        f"SHA256 ({NAME}) = {SHA512}\n",
        f"SHA512/256 ({NAME}) = {SHA256}\n",
        f"BLAKE2b ({NAME}) = {SHA512}\n",
        f"{SHA256}\n{OTHER}\n",
    ],
)
def test_the_digest_of_another_file_is_not_taken(text: str) -> None:
    with pytest.raises(errors.Invalid, match="no digest of a file named 'disk.qcow2'"):
        digests_of(text.encode(), NAME)


@pytest.mark.parametrize(
    "text", [f"{MD5}  {NAME}", f"{SHA1}  {NAME}", f"MD5 ({NAME}) = {MD5}"]
)
def test_weak_digests_alone_are_refused(text: str) -> None:
    with pytest.raises(errors.Invalid, match="only the MD5 or SHA-1"):
        digests_of(text.encode(), NAME)


def test_two_digests_of_one_file_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="several digests"):
        digests_of(f"{SHA256}  {NAME}\n{OTHER}  {NAME}\n".encode(), NAME)


@pytest.mark.parametrize("content", [b"\xff\xfe", SHA256.encode("utf-16"), b"\x80"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(errors.Invalid, match="not text in UTF-8"):
        digests_of(content, NAME)


def test_a_file_with_too_many_lines_is_refused() -> None:
    lines = f"{OTHER}  other\n" * checksum_file.MOST_LINES
    with pytest.raises(errors.Invalid, match="more than 20000 lines"):
        digests_of(f"{lines}{SHA256}  {NAME}\n".encode(), NAME)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/noble/disk.qcow2", "disk.qcow2"),
        ("https://example.org/disk.qcow2?token=a/b#c/d", "disk.qcow2"),
        ("https://example.org/disk%20image.raw", "disk image.raw"),
        ("https://example.org/noble/", ""),
        ("https://example.org", ""),
        ("https://[::1/disk.raw", ""),
    ],
)
def test_the_name_of_the_data_is_at_the_end_of_its_url(url: str, name: str) -> None:
    assert checksum_file.name_in(url) == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "..%2f/x", "a\\b", "-rf", "a\nb", "a\0", "a" * 256]
)
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(errors.Invalid):
        checksum_file.check_name(name)
