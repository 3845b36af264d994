"""Images that were signed, with keys and certificates made by openssl's library."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils import timezone

from images import errors, lifecycle, uploads
from images.access import Caller
from images.attributes import Changes
from images.models import Image, Status, Transfer
from images.signatures import Signature

DATA = b"a disk that somebody signed" * 1000
UUID = "3c9ab4d6-0f5e-4f7b-9a53-5a3e5f6f0c11"
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RSA-PSS": RSA,
    "DSA": dsa.generate_private_key(2048),
    "ECC_SECP384R1": ec.generate_private_key(ec.SECP384R1()),
    "ECC_SECP521R1": ec.generate_private_key(ec.SECP521R1()),
}
METHODS = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}


def sign(kind: str, method: str) -> str:
    key, used = KEYS[kind], METHODS[method]
    if kind == "RSA-PSS":
        pss = padding.PSS(padding.MGF1(used), padding.PSS.MAX_LENGTH)
        return b64encode(key.sign(DATA, pss, used)).decode()
    return b64encode(key.sign(DATA, used if kind == "DSA" else ec.ECDSA(used))).decode()


def certify(key: Any, days: int = 1) -> bytes:
    """A certificate in PEM that is valid for so many days from yesterday on."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "builder")])
    begin = timezone.now() - timedelta(days=1)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=begin + timedelta(days=days, hours=1),
    )
    return builder.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM)


def signed(kind: str = "RSA-PSS", method: str = "SHA-256", **more: str) -> Any:
    properties = {
        "img_signature": sign(kind, method),
        "img_signature_hash_method": method,
        "img_signature_key_type": kind,
        "img_signature_certificate_uuid": UUID,
    }
    return properties | more


@pytest.fixture
def certificates(settings: Any, tmp_path: Path) -> Path:
    """The folder of them, with one for RSA-PSS."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / f"{UUID}.pem").write_bytes(certify(RSA))
    settings.IMAGECATALOG_SIGNATURE_CERTIFICATES = str(folder)
    return folder


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KEYS)
def test_data_that_was_signed_is_taken(
    kind: str, method: str, certificates: Path, make_image: Any, member: Caller
) -> None:
    (certificates / f"{UUID}.pem").write_bytes(certify(KEYS[kind]))
    image = make_image(properties=signed(kind, method))

    lifecycle.upload(image.pk, [DATA[:999], DATA[999:]], member)

    assert Image.objects.get().status == Status.ACTIVE


@pytest.mark.parametrize("kind", KEYS)
def test_other_data_is_refused_and_the_image_waits_again(
    kind: str, certificates: Path, make_image: Any, member: Caller
) -> None:
    (certificates / f"{UUID}.pem").write_bytes(certify(KEYS[kind]))
    image = make_image(properties=signed(kind))

    with pytest.raises(errors.Invalid, match="not the data that was signed"):
        lifecycle.upload(image.pk, [DATA + b"!"], member)

    assert Image.objects.get().status == Status.QUEUED
    assert not image.locations.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"img_signature_hash_method": "MD5"}, "must be one of SHA-224"),
        ({"img_signature_key_type": "RSA"}, "must be one of RSA-PSS"),
        ({"img_signature_key_type": "DSA"}, "not of type DSA"),
        ({"img_signature": "no base64"}, "must be base64"),
        ({"img_signature": "é"}, "must be base64"),
        ({"img_signature_certificate_uuid": "../key"}, "must be a UUID"),
        ({"img_signature_certificate_uuid": UUID[::-1]}, "must be a UUID"),
        ({"img_signature_certificate_uuid": f"0{UUID[1:]}"}, "no certificate 0"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    change: dict[str, str],
    words: str,
    certificates: Path,
    make_image: Any,
    member: Caller,
) -> None:
    image = make_image(properties=signed(**change))

    with pytest.raises(errors.Invalid, match=words):
        lifecycle.upload(image.pk, [DATA], member)


@pytest.mark.parametrize(
    "content",
    [certify(RSA, days=0), b"no certificate", b""],
    ids=["expired", "text", "empty"],
)
def test_a_certificate_that_is_not_valid_verifies_nothing(
    content: bytes, certificates: Path, make_image: Any, member: Caller
) -> None:
    (certificates / f"{UUID}.pem").write_bytes(content)
    image = make_image(properties=signed())

    with pytest.raises(
        errors.Invalid, match=r"certificate .* (expired|no certificate)|has no"
    ):
        lifecycle.upload(image.pk, [DATA], member)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        KEYS["ECC_SECP384R1"],
    ],
)
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_another_type_is_refused_before_any_data_comes(
    key: Any, kind: str, certificates: Path, make_image: Any, member: Caller
) -> None:
    (certificates / f"{UUID}.pem").write_bytes(certify(key))
    other = "ECC_SECP521R1" if kind == "ECC_SECP384R1" else kind
    image = make_image(properties=signed(other))

    with pytest.raises(errors.Invalid, match=f"not of type {other}"):
        lifecycle.upload(image.pk, never(), member)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("RSA-PSS", rsa.generate_private_key(65537, 1024)),
        ("RSA-PSS", rsa.generate_private_key(65537, 2040)),
        ("DSA", dsa.generate_private_key(1024)),
    ],
)
def test_a_key_that_is_too_short_verifies_nothing(
    kind: str, key: Any, certificates: Path, make_image: Any, member: Caller
) -> None:
    (certificates / f"{UUID}.pem").write_bytes(certify(key))
    image = make_image(properties=signed(kind))

    with pytest.raises(errors.Invalid, match="at least 2048 bits"):
        lifecycle.upload(image.pk, never(), member)


def never() -> Iterator[bytes]:
    pytest.fail("the data is read")
    yield b""


def test_a_key_that_no_such_digest_fits_in_verifies_nothing() -> None:
    small = rsa.RSAPublicNumbers(65537, (1 << 511) + 111).public_key()
    signature = Signature(b"x" * 64, hashes.SHA512(), small)

    with pytest.raises(errors.Invalid, match="verification failed"):
        signature.check("0" * 128)


def test_without_certificates_signed_data_is_refused(
    make_image: Any, member: Caller
) -> None:
    image = make_image(properties=signed())

    with pytest.raises(errors.Invalid, match="IMAGECATALOG_SIGNATURE_CERTIFICATES"):
        lifecycle.upload(image.pk, [DATA], member)


@pytest.mark.django_db
def test_a_folder_of_certificates_that_is_not_there_stops_every_command(
    settings: Any,
) -> None:
    settings.IMAGECATALOG_SIGNATURE_CERTIFICATES = "/nowhere"

    with pytest.raises(SystemCheckError, match="/nowhere is not a folder"):
        call_command("check")


@pytest.mark.parametrize("missing", signed())
def test_some_of_the_properties_are_refused_before_any_data_comes(
    missing: str, certificates: Path, make_image: Any, member: Caller
) -> None:
    properties = signed()
    del properties[missing]
    image = make_image(properties=properties)

    with pytest.raises(errors.Invalid, match=f"the image lacks {missing}"):
        lifecycle.upload(image.pk, never(), member)
    with pytest.raises(errors.Invalid, match=f"the image lacks {missing}"):
        uploads.begin(image.pk, 1, member)

    assert Image.objects.get().status == Status.QUEUED
    assert not Transfer.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        Changes(properties={"img_signature": "x"}),
        Changes(removed={"img_signature_key_type"}),
        Changes(removed=set(signed())),
    ],
)
@pytest.mark.parametrize(
    "status", ["active", "deactivated", "saving", "uploading", "importing"]
)
def test_a_signature_is_frozen_once_there_is_data(
    status: str, change: Changes, make_image: Any, member: Caller
) -> None:
    signature = signed()
    image = make_image(status, properties=signature)

    with pytest.raises(errors.Forbidden, match="before the image has data"):
        lifecycle.update(image.pk, change, member)
    lifecycle.update(image.pk, Changes(properties=signature | {"a": "b"}), member)

    assert Image.objects.get().properties == signature | {"a": "b"}


def test_data_without_a_signature_is_not_signed_afterwards(
    make_image: Any, admin: Caller
) -> None:
    image = make_image("active")

    with pytest.raises(errors.Forbidden, match="before the image has data"):
        lifecycle.update(image.pk, Changes(properties=signed()), admin)


def test_the_signature_of_a_pinned_image_is_frozen_too(
    make_image: Any, admin: Caller
) -> None:
    image = make_image("active", properties=signed())
    lifecycle.remove_location(image.pk, image.locations.get().pk, admin)

    with pytest.raises(errors.Forbidden, match="before the image has data"):
        lifecycle.update(image.pk, Changes(removed=set(signed())), admin)


def test_a_signature_is_set_property_by_property_before_the_data_comes(
    certificates: Path, make_image: Any, member: Caller
) -> None:
    image = make_image()
    for name, value in signed().items():
        lifecycle.update(image.pk, Changes(properties={name: value}), member)

    lifecycle.upload(image.pk, [DATA], member)

    assert Image.objects.get().status == Status.ACTIVE


def test_an_image_of_no_bytes_is_signed_too(
    certificates: Path, member: Caller, db: None
) -> None:
    with pytest.raises(errors.Invalid, match="not the data that was signed"):
        lifecycle.create({}, signed(), [], member, size=0)

    assert not Image.objects.exists()


def test_a_wrong_signature_is_400_on_the_wire(
    certificates: Path, client_of: Any, member: Caller
) -> None:
    client, asked = (
        client_of(member),
        {"disk_format": "raw", "container_format": "bare"},
    )
    made = client.post("/v2/images", json.dumps(asked | signed()), "application/json")
    path = f"/v2/images/{made.json()['id']}"

    octets = "application/octet-stream"
    assert client.put(f"{path}/file", DATA[1:], octets).status_code == 400
    assert client.put(f"{path}/file", DATA, octets).status_code == 204


def test_a_frozen_signature_is_403_on_the_wire(
    client_of: Any, make_image: Any, member: Caller
) -> None:
    image, client = make_image("active", properties=signed()), client_of(member)
    operation = {"op": "remove", "path": "/img_signature"}
    patch = "application/openstack-images-v2.1-json-patch"
    path, keep = f"/v1/images/{image.pk}", {"x-glance-registry-purge-props": "false"}
    named = {"x-image-meta-name": "new"}

    v2 = client.patch(f"/v2/images/{image.pk}", json.dumps([operation]), patch)
    purged = client.put(path, headers=named)
    kept = client.put(path, headers=named | keep)

    assert (v2.status_code, purged.status_code, kept.status_code) == (403, 403, 200)
    assert b"before the image has data" in v2.content
    assert Image.objects.get().properties == image.properties
