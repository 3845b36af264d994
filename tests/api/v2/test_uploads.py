"""Resumable uploads in the words of tus 1.0.0; what they do is tried in tests/imports."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django.utils.http import parse_http_date

from images import lifecycle, stores
from images.access import Caller
from images.models import Image, Status, Transfer, UploadChunk

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET = "application/offset+octet-stream"
DATA = b"0123456789"


@pytest.fixture
def client(client_of: Callable[[Caller], Client], member: Caller) -> Client:
    return client_of(member)


@pytest.fixture
def image(make_image: Callable[..., Image]) -> Image:
    return make_image()


def create(client: Client, image: Image, **headers: str) -> HttpResponse:
    given = TUS | {"Upload-Length": str(len(DATA))} | headers
    return client.generic("POST", f"/v2/images/{image.pk}/uploads", headers=given)


@pytest.fixture
def upload(client: Client, image: Image) -> str:
    """The path of a new one."""
    response = create(client, image)
    assert response.status_code == 201, response.content
    return urlsplit(response.headers["Location"]).path


def send(
    client: Client, path: str, data: bytes, offset: object, **headers: str
) -> HttpResponse:
    given = TUS | {"Upload-Offset": str(offset)} | headers
    return client.patch(path, data, OFFSET, headers=given)


def test_options_tell_what_is_spoken_and_need_no_sign_in(
    image: Image, settings: Any
) -> None:
    response = Client().options(f"/v2/images/{image.pk}/uploads")

    assert response.status_code == 200
    assert response.headers["Tus-Resumable"] == "1.0.0"
    assert response.headers["Tus-Version"] == "1.0.0"
    extensions = "creation,checksum,expiration,termination"
    assert response.headers["Tus-Extension"] == extensions
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512"
    assert response.headers["Tus-Max-Size"] == str(settings.IMAGECATALOG_IMAGE_SIZE_CAP)


def test_an_upload_in_two_requests(client: Client, image: Image, upload: str) -> None:
    first = send(client, upload, DATA[:4], 0)
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "4")
    assert Image.objects.get().status == Status.UPLOADING

    last = send(client, upload, DATA[4:], 4)
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, "10")
    assert last.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Expires" not in last.headers
    assert Image.objects.get().status == Status.ACTIVE
    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_head_tells_where_it_goes_on(client: Client, upload: str) -> None:
    send(client, upload, DATA[:4], 0)

    response = client.head(upload, headers=TUS)

    assert response.status_code == 200
    assert response.headers["Upload-Offset"] == "4"
    assert response.headers["Upload-Length"] == "10"
    assert response.headers["Cache-Control"] == "no-store"


def test_head_of_a_complete_upload_says_so(client: Client, upload: str) -> None:
    send(client, upload, DATA, 0)

    response = client.head(upload, headers=TUS)

    assert response.status_code == 200
    assert response.headers["Upload-Offset"] == "10"


def test_an_upload_says_when_it_expires(client: Client, image: Image) -> None:
    response = create(client, image)

    expires = parse_http_date(response.headers["Upload-Expires"])
    day = timezone.now() + timedelta(days=1)
    assert abs(expires - day.timestamp()) < 10


def test_metadata_is_given_back_as_it_came(client: Client, image: Image) -> None:
    text = f"filename {b64encode(b'disk.raw').decode()},is_confidential"
    location = create(client, image, **{"Upload-Metadata": text}).headers["Location"]

    assert (
        client.head(urlsplit(location).path, headers=TUS).headers["Upload-Metadata"]
        == text
    )


@pytest.mark.parametrize(
    "text",
    ["filename *", "a YQ==,a YQ==", "a b c", "ä YQ==", "a YQ==\x7f", "k " + "A" * 4100],
)
def test_malformed_metadata_is_refused(client: Client, image: Image, text: str) -> None:
    assert create(client, image, **{"Upload-Metadata": text}).status_code == 400
    assert Image.objects.get().status == Status.QUEUED


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = b64encode(hashlib.new(algorithm, data).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


def content_digest(data: bytes) -> dict[str, str]:
    digest = b64encode(hashlib.sha256(data).digest()).decode()
    return {"Content-Digest": f"sha-256=:{digest}:"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_the_bytes_of_a_request_come_with_their_checksum(
    algorithm: str, client: Client, image: Image, upload: str
) -> None:
    first = send(client, upload, DATA[:4], 0, **checksum(DATA[:4], algorithm))
    last = send(client, upload, DATA[4:], 4, **checksum(DATA[4:], algorithm))

    assert (first.status_code, last.status_code) == (204, 204)
    assert b"".join(lifecycle.read(image.pk)) == DATA


@pytest.mark.parametrize("headers", [checksum(b"other"), content_digest(b"other")])
@pytest.mark.parametrize("sent", [DATA[4:7], DATA[4:]], ids=["a part", "the rest"])
def test_bytes_with_another_checksum_do_not_count(
    sent: bytes, headers: dict[str, str], client: Client, image: Image, upload: str
) -> None:
    send(client, upload, DATA[:4], 0)

    response = send(client, upload, sent, 4, **headers)

    assert response.status_code == 460
    assert client.head(upload, headers=TUS).headers["Upload-Offset"] == "4"
    assert len(list(stores.default().keys())) == 1
    send(client, upload, DATA[4:], 4, **content_digest(DATA[4:]))
    assert b"".join(lifecycle.read(image.pk)) == DATA


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload-Checksum": ""},
        {"Upload-Checksum": "sha1"},
        {"Upload-Checksum": "sha1 *"},
        {"Upload-Checksum": "sha1 YQ=="},
        {"Upload-Checksum": "md5 1B2M2Y8AsgTpgAmY7PhCfg=="},
        {"Content-Digest": "sha-256=:YQ==:"},
        checksum(DATA, "sha256") | content_digest(b"other"),
    ],
)
def test_a_malformed_checksum_is_refused_before_the_bytes_are_read(
    headers: dict[str, str], client: Client, upload: str
) -> None:
    assert send(client, upload, DATA, 0, **headers).status_code == 400

    assert client.head(upload, headers=TUS).headers["Upload-Offset"] == "0"


def repr_digest(data: bytes) -> dict[str, str]:
    return {"Repr-Digest": content_digest(data)["Content-Digest"]}


@pytest.mark.parametrize(
    ("expected", "code", "status"), [(DATA, 204, "active"), (b"other", 400, "queued")]
)
def test_all_of_the_data_must_have_the_digest_of_the_creation(
    expected: bytes, code: int, status: str, client: Client, image: Image
) -> None:
    location = create(client, image, **repr_digest(expected)).headers["Location"]

    response = send(client, urlsplit(location).path, DATA, 0)

    assert response.status_code == code
    assert Image.objects.get().status == status
    assert len(list(stores.default().keys())) == (status == "active")


def test_a_malformed_digest_begins_no_upload(client: Client, image: Image) -> None:
    response = create(client, image, **{"Repr-Digest": "sha-256=:x:"})

    assert response.status_code == 400
    assert Image.objects.get().status == Status.QUEUED


@pytest.mark.parametrize("length", ["", "-1", "1.5", "ten", "٣"])
def test_the_length_must_be_a_number(client: Client, image: Image, length: str) -> None:
    response = create(client, image, **{"Upload-Length": length})

    assert response.status_code == 400
    assert Image.objects.get().status == Status.QUEUED


def test_an_upload_that_is_too_large_is_413(
    client: Client, image: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 9

    assert create(client, image).status_code == 413


@pytest.mark.parametrize("digits", [20, 5000])
def test_a_length_of_many_digits_is_too_large(
    digits: int, client: Client, image: Image
) -> None:
    response = create(client, image, **{"Upload-Length": "9" * digits})

    assert response.status_code == 413
    assert Image.objects.get().status == Status.QUEUED


def test_a_store_that_does_not_exist_is_400(client: Client, image: Image) -> None:
    response = create(client, image, **{"x-image-meta-store": "nowhere"})

    assert response.status_code == 400


def test_an_image_in_the_wrong_status_is_409(
    client: Client, image: Image, upload: str
) -> None:
    assert create(client, image).status_code == 409


@pytest.mark.parametrize("version", ["0.2.2", "1.0", ""])
@pytest.mark.parametrize("method", ["head", "patch", "delete"])
def test_another_version_is_412_and_told_the_right_one(
    client: Client, upload: str, method: str, version: str
) -> None:
    response = getattr(client, method)(upload, headers={"Tus-Resumable": version})

    assert response.status_code == 412
    assert response.headers["Tus-Version"] == "1.0.0"
    assert Transfer.objects.get().status == "running"


def test_another_offset_is_409(client: Client, upload: str) -> None:
    send(client, upload, DATA[:4], 0)

    assert send(client, upload, DATA[5:], 5).status_code == 409
    assert send(client, upload, DATA, 0).status_code == 409
    assert send(client, upload, DATA, "9" * 30).status_code == 409


@pytest.mark.parametrize("offset", ["", "-1", "x"])
def test_the_offset_must_be_a_number(client: Client, upload: str, offset: str) -> None:
    assert send(client, upload, DATA, offset).status_code == 400


def test_another_media_type_is_415(client: Client, upload: str) -> None:
    response = client.patch(
        upload, DATA, "application/octet-stream", headers=TUS | {"Upload-Offset": "0"}
    )

    assert response.status_code == 415


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Content-Range", "bytes 4-7/10", 400),
        ("Upload-Complete", "?0", 400),
        ("Content-Encoding", "gzip", 415),
    ],
)
def test_another_protocol_s_part_or_an_encoded_one_is_not_appended(
    name: str, value: str, code: int, client: Client, upload: str
) -> None:
    response = send(client, upload, DATA[:4], 0, **{name: value})

    assert response.status_code == code
    assert client.head(upload, headers=TUS).headers["Upload-Offset"] == "0"


def test_more_data_than_announced_is_413(client: Client, upload: str) -> None:
    assert send(client, upload, DATA + b"x", 0).status_code == 413
    assert client.head(upload, headers=TUS).headers["Upload-Offset"] == "0"


def test_while_another_request_sends_it_is_423(client: Client, upload: str) -> None:
    UploadChunk.objects.create(
        transfer=Transfer.objects.get(), start=0, key="ab/other.1"
    )

    response = send(client, upload, DATA, 0)

    assert response.status_code == 423
    assert response.headers["Retry-After"] == "2"


def test_what_is_deleted_is_queued_again_and_410(client: Client, upload: str) -> None:
    send(client, upload, DATA[:4], 0)

    assert client.delete(upload, headers=TUS).status_code == 204

    assert Image.objects.get().status == Status.QUEUED
    assert client.head(upload, headers=TUS).status_code == 410
    assert send(client, upload, DATA[4:], 4).status_code == 410
    assert client.delete(upload, headers=TUS).status_code == 410


def test_a_complete_upload_cannot_be_deleted(client: Client, upload: str) -> None:
    send(client, upload, DATA, 0)

    assert client.delete(upload, headers=TUS).status_code == 409
    assert Image.objects.get().status == Status.ACTIVE


def test_clients_that_know_only_post_name_the_method_in_a_header(
    client: Client, upload: str
) -> None:
    headers = TUS | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    response = client.post(upload, DATA, OFFSET, headers=headers)

    assert response.status_code == 204
    assert Image.objects.get().status == Status.ACTIVE


def test_an_unknown_upload_is_404(client: Client, image: Image) -> None:
    path = f"/v2/images/{image.pk}/uploads/{uuid4()}"

    assert client.head(path, headers=TUS).status_code == 404
    assert send(client, path, DATA, 0).status_code == 404


def test_an_upload_is_found_below_its_own_image_only(
    client: Client, upload: str, make_image: Callable[..., Image]
) -> None:
    other = make_image()
    path = f"/v2/images/{other.pk}/uploads/{upload.rpartition('/')[2]}"

    assert client.head(path, headers=TUS).status_code == 404


def test_an_upload_as_a_document(client: Client, image: Image, upload: str) -> None:
    send(client, upload, DATA[:4], 0)

    (found,) = client.get(f"/v2/images/{image.pk}/uploads").json()["uploads"]

    assert found == client.get(upload).json()
    assert found["self"] == upload
    assert (found["status"], found["offset"], found["length"]) == ("uploading", 4, 10)


def test_the_document_of_a_failed_upload_says_why(client: Client, upload: str) -> None:
    client.delete(upload, headers=TUS)

    found = client.get(upload).json()

    assert (found["status"], found["error"]) == ("failed", "The upload was cancelled.")


def test_who_may_only_read_may_not_upload(
    client_of: Callable[[Caller], Client], reader: Caller, image: Image, upload: str
) -> None:
    client = client_of(reader)

    assert create(client, image).status_code == 403
    assert client.head(upload, headers=TUS).status_code == 403
    assert send(client, upload, DATA, 0).status_code == 403
    assert client.delete(upload, headers=TUS).status_code == 403
    assert client.get(upload).status_code == 403


def test_to_strangers_there_is_nothing(
    client_of: Callable[[Caller], Client], stranger: Caller, image: Image, upload: str
) -> None:
    client = client_of(stranger)

    assert create(client, image).status_code == 404
    assert client.head(upload, headers=TUS).status_code == 404
    assert send(client, upload, DATA, 0).status_code == 404


def test_without_sign_in_it_is_401(image: Image, upload: str) -> None:
    assert create(Client(), image).status_code == 401
    assert send(Client(), upload, DATA, 0).status_code == 401
