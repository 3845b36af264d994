"""Digests in header fields (RFC 9530), as their dictionaries are written (RFC 9651)."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from django.test import RequestFactory

from images import errors
from images.http import digest_fields

DATA = b"the bytes of an image"
SHA256, SHA512 = hashlib.sha256(DATA), hashlib.sha512(DATA)
B256, B512 = (b64encode(it.digest()).decode() for it in (SHA256, SHA512))


def expected(**headers: str) -> dict[str, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return digest_fields.expected(RequestFactory().put("/", headers=given))


@pytest.mark.parametrize(
    ("text", "algorithms"),
    [
        ("", []),
        (f"sha-256=:{B256}:", ["sha256"]),
        (f"sha-512=:{B512}:", ["sha512"]),
        (f"sha-256=:{B256}:, sha-512=:{B512}:", ["sha256", "sha512"]),
        (f"sha-256=:{B256}:\t,\tsha-512=:{B512}:", ["sha256", "sha512"]),
        (f"sha-256=:{B256}:;a;b=1;c=:YQ==:", ["sha256"]),
        ("md5=:YQ==:, sha=:YQ==:, unixsum=:YQ==:, crc32c=:YQ==:", []),
        ('x, y=?1, z="a, b", w=3.5, v=tok/en, u', []),
    ],
)
def test_known_digests_are_taken_and_others_ignored(
    text: str, algorithms: list[str]
) -> None:
    known = {"sha256": SHA256.hexdigest(), "sha512": SHA512.hexdigest()}

    assert expected(Repr_Digest=text) == {name: known[name] for name in algorithms}


@pytest.mark.parametrize(
    "text",
    [
        "sha-256",
        "sha-256=",
        "sha-256=?1",
        f"sha-256={B256}",
        f'sha-256="{B256}"',
        f"sha-256=:{B256[:-4]}:",
        f"sha-256=:{B512}:",
        "sha-256=:*:",
        "sha-256=::",
        f"sha-256=:{SHA256.hexdigest()}:",
        f"sha-256=:{B256}:,",
        f",sha-256=:{B256}:",
        f"sha-256=:{B256}: sha-512=:{B512}:",
        f"SHA-256=:{B256}:",
        "=",
        "md5=:é:",
    ],
)
def test_a_malformed_field_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid, match="sha-256=:BASE64:"):
        expected(Repr_Digest=text)


def test_the_two_fields_must_agree() -> None:
    sha256 = f"sha-256=:{B256}:"
    other = b64encode(bytes(32)).decode()

    both = expected(Repr_Digest=sha256, Content_Digest=f"{sha256}, sha-512=:{B512}:")
    assert set(both) == {"sha256", "sha512"}
    with pytest.raises(errors.Invalid, match="differ"):
        expected(Repr_Digest=sha256, Content_Digest=f"sha-256=:{other}:")


def test_what_is_written_is_read_again() -> None:
    digests = {"sha256": SHA256.hexdigest(), "sha512": SHA512.hexdigest()}

    text = digest_fields.field(digests | {"md5": "00"})

    assert expected(Repr_Digest=text) == digests
