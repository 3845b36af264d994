from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.http import HttpResponse

from images import errors, lifecycle, stores
from images.models import Image, Member
from images.stores.local import LocalStore

DATA = b"the bytes of an image"
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
OCTETS = "application/octet-stream"
NOT_UPLOADED = ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")


def put(
    client: Any,
    image: Image,
    data: bytes = DATA,
    content_type: str = OCTETS,
    **headers: str,
) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response: HttpResponse = client.put(
        f"/v2/images/{image.pk}/file", data, CONTENT_TYPE=content_type, headers=named
    )
    return response


def get(client: Any, image: Image, **headers: str) -> Any:
    return client.get(f"/v2/images/{image.pk}/file", headers=headers)


def files(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "images").glob("*/*") if path.is_file()]


# Upload


def test_what_is_uploaded_comes_back(api: Any, make_image: Any) -> None:
    image = make_image()

    response = put(api.member, image)

    assert (response.status_code, response.content) == (204, b"")
    assert "Location" not in response.headers
    assert get(api.member, image).getvalue() == DATA


def test_an_upload_makes_the_image_active(api: Any, make_image: Any) -> None:
    image = make_image()

    put(api.member, image)

    shown = api.member.get(f"/v2/images/{image.pk}").json()
    assert (shown["status"], shown["size"], shown["checksum"]) == (
        "active",
        len(DATA),
        MD5,
    )
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert shown["stores"] == "local"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    digest = b64encode(hashlib.new(algorithm, data).digest()).decode()
    return f"{algorithm.replace('sha', 'sha-')}=:{digest}:"


@pytest.mark.parametrize(
    ("digest", "why"),
    [("0" * 64, b"Digest mismatch: sha-256 is"), ("x", b"64 hexadecimal digits")],
)
def test_the_digest_that_the_owner_has_stated_is_compared(
    digest: str, why: bytes, api: Any, create: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = True
    stated = {"owner_specified.openstack.sha256": digest}
    formats = {"disk_format": "raw", "container_format": "bare"}
    image = Image(pk=create(api.member, **formats, **stated).json()["id"])

    response = put(api.member, image)

    assert response.status_code == 400
    assert why in response.content
    assert api.member.get(f"/v2/images/{image.pk}").json()["status"] == "queued"


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_data_with_the_digest_that_its_sender_states_is_taken(
    field: str, algorithm: str, api: Any, make_image: Any
) -> None:
    headers = {field: digest_of(DATA, algorithm)}

    assert put(api.member, make_image(), **headers).status_code == 204


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
def test_data_with_another_digest_is_refused_and_leaves_nothing_behind(
    field: str, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()
    good, bad = digest_of(DATA, "sha512"), digest_of(b"other")

    response = put(api.member, image, **{field: f"{good}, {bad}"})

    expected = (
        f"Digest mismatch: sha-256 is {hashlib.sha256(DATA).hexdigest()}, "
        f"expected {hashlib.sha256(b'other').hexdigest()}"
    )
    assert (response.status_code, expected in response.text) == (400, True)
    shown = api.member.get(f"/v2/images/{image.pk}").json()
    assert (shown["status"], shown["size"], files(data_dir)) == ("queued", None, [])
    history = api.member.get(f"/v2/images/{image.pk}/history").json()
    assert history["last_error"]["code"] == "digest-mismatch"
    assert put(api.member, image).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Repr-Digest": "sha-256=:YQ==:"},
        {"Content-Digest": "sha-256"},
        {"Repr-Digest": digest_of(DATA), "Content-Digest": digest_of(b"other")},
    ],
)
def test_a_malformed_digest_begins_no_upload(
    headers: dict[str, str], api: Any, make_image: Any
) -> None:
    image = make_image()

    assert put(api.member, image, **headers).status_code == 400

    assert not image.transfers.exists()


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("part", [{}, {"Range": "bytes=3-5"}])
def test_a_download_names_the_digest_of_all_of_the_data(
    method: str, part: dict[str, str], api: Any, make_image: Any
) -> None:
    path = f"/v2/images/{make_image('active', data=DATA).pk}/file"

    response = getattr(api.member, method)(path, headers=part)

    assert response.headers["Repr-Digest"] == digest_of(DATA, "sha512")


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ("sha-256=10, sha-512=3", ["sha256"]),
        ("sha-256=1, sha-512=2", ["sha512"]),
        ("sha-256=5", ["sha256"]),
        ("md5=10", ["sha256", "sha512"]),
        ("sha-512=0", ["sha256"]),
        ("sha-256=0, sha-512=0", []),
        ("sha-256=11, sha-512=-1", ["sha256", "sha512"]),
        ("sha-256=10,", ["sha256", "sha512"]),
    ],
)
def test_a_client_chooses_the_digest_that_a_download_names(
    wanted: str, named: list[str], api: Any, make_image: Any
) -> None:
    known = {"sha256": hashlib.sha256(DATA).hexdigest()}
    image = make_image("active", data=DATA, digests=known)

    response = get(api.member, image, **{"Want-Repr-Digest": wanted})

    digests = [digest_of(DATA, algorithm) for algorithm in named]
    assert response.headers.get("Repr-Digest", "") == ", ".join(digests)


def test_a_download_names_no_digest_that_has_no_name_in_http(
    api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA, os_hash_algo="md5", os_hash_value=MD5)
    unknown = make_image("active", data=DATA, os_hash_algo=None, os_hash_value=None)

    for it in (image, unknown):
        assert "Repr-Digest" not in get(api.member, it).headers


def test_no_bytes_at_all_are_an_image_too(api: Any, make_image: Any) -> None:
    image = make_image()

    assert put(api.member, image, b"").status_code == 204

    shown = api.member.get(f"/v2/images/{image.pk}").json()
    assert (shown["status"], shown["size"], shown["virtual_size"]) == (
        "active",
        0,
        None,
    )
    assert shown["checksum"] == hashlib.md5(b"", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (OCTETS, 204),
        ("Application/Octet-Stream; charset=binary", 204),
        ("application/json", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_data_comes_as_octet_stream(
    content_type: str, code: int, api: Any, make_image: Any
) -> None:
    image = make_image()

    response = put(api.member, image, content_type=content_type)

    assert response.status_code == code
    if code == 415:
        assert OCTETS in response.content.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Range", "bytes 600-999/1000"),
        ("Content-Range", "bytes 0-20/21"),
        ("Content-Range", "bytes 0-20/*"),
        ("Content-Range", "nonsense"),
        ("Upload-Complete", "?0"),
        ("Upload-Complete", " ?0 ;a=b"),
        ("Upload-Incomplete", "?1"),
    ],
)
@pytest.mark.parametrize("data", [DATA, b""])
def test_a_part_is_not_taken_for_the_whole(
    data: bytes, name: str, value: str, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = put(api.member, image, data, **{name: value})

    assert response.status_code == 400
    assert "Send all of the data" in response.content.decode()
    assert_nothing_left(image, data_dir)


@pytest.mark.parametrize("coding", ["gzip", "br", "aws-chunked", "identity, gzip"])
def test_encoded_data_is_not_taken_for_the_data_itself(
    coding: str, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = put(api.member, image, Content_Encoding=coding)

    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == "identity"
    assert_nothing_left(image, data_dir)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Encoding", "Identity"),
        ("Content-Encoding", ""),
        ("Upload-Complete", "?1"),
        ("Upload-Incomplete", "?0"),
        ("Range", "bytes=0-1"),
    ],
)
def test_whole_data_may_say_that_it_is_whole(
    name: str, value: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    assert put(api.member, image, **{name: value}).status_code == 204
    assert get(api.member, image).getvalue() == DATA


@pytest.mark.parametrize("size", ["x", "-1", "1.5", ""])
def test_a_size_that_is_no_number_is_400(size: str, api: Any, make_image: Any) -> None:
    response = put(api.member, make_image(), x_openstack_image_size=size)

    assert response.status_code == 400
    assert "Invalid or missing image size" in response.content.decode()


@pytest.mark.parametrize("digits", [19, 20, 5000])
def test_a_size_of_many_digits_is_too_large(
    digits: int, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = put(api.member, image, x_openstack_image_size="9" * digits)

    assert response.status_code == 413
    assert_nothing_left(image, data_dir)


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_another_size_than_announced_is_400(
    size: int, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = put(api.member, image, x_openstack_image_size=str(size))

    assert response.status_code == 400
    assert_nothing_left(image, data_dir)


def test_an_announced_size_that_is_right_is_fine(api: Any, make_image: Any) -> None:
    response = put(api.member, make_image(), x_openstack_image_size=str(len(DATA)))

    assert response.status_code == 204


def assert_nothing_left(image: Image, data_dir: Path) -> None:
    image = Image.objects.get(pk=image.pk)
    assert image.status == "queued"
    assert [getattr(image, name) for name in NOT_UPLOADED] == [None] * 5
    assert not image.locations.exists()
    assert not files(data_dir)


def test_refused_content_is_415_and_leaves_nothing_behind(
    api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image(disk_format="qcow2")

    response = put(api.member, image)

    assert response.status_code == 415
    assert "qcow2" in response.content.decode()
    assert_nothing_left(image, data_dir)
    assert get(api.member, image).status_code == 204


def test_a_failed_upload_can_be_repeated(api: Any, make_image: Any) -> None:
    image = make_image()
    put(api.member, image, x_openstack_image_size="1")

    assert put(api.member, image).status_code == 204


def test_more_than_the_quota_is_413(
    api: Any, make_image: Any, settings: Any, data_dir: Path
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA) - 1
    image = make_image()

    assert put(api.member, image).status_code == 413
    assert_nothing_left(image, data_dir)


def test_more_than_the_cap_is_413(
    api: Any, make_image: Any, settings: Any, data_dir: Path
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = len(DATA) - 1
    image = make_image()

    assert put(api.member, image).status_code == 413
    assert_nothing_left(image, data_dir)


@pytest.mark.parametrize("store", ["nope", "os_glance_staging_store"])
def test_an_unknown_store_is_400(
    store: str, api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = put(api.member, image, x_image_meta_store=store)

    assert response.status_code == 400
    assert f"Store for identifier {store} not found" in response.content.decode()
    assert_nothing_left(image, data_dir)


def test_a_store_that_takes_nothing_is_410(
    api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    assert put(api.member, image, x_image_meta_store="http").status_code == 410
    assert_nothing_left(image, data_dir)


def test_the_store_can_be_chosen(
    api: Any, make_image: Any, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES = f"a=file://{tmp_path}/a,b=file://{tmp_path}/b"
    image = make_image()

    put(api.member, image, x_image_meta_store="b")

    assert api.member.get(f"/v2/images/{image.pk}").json()["stores"] == "b"


@pytest.mark.parametrize(
    ("query", "first"), [("", b"b"), ("?prefer=a", b"a"), ("?prefer=b,a", b"b")]
)
def test_the_preferred_store_is_read_first(
    query: str, first: bytes, api: Any, two_copies: Image
) -> None:
    answer = api.member.get(f"/v2/images/{two_copies.pk}/file{query}")

    assert answer.getvalue() == first


def test_a_preferred_store_that_fails_is_passed_over(
    api: Any, two_copies: Image
) -> None:
    stores.get("a").delete("ab/a")

    answer = api.member.get(f"/v2/images/{two_copies.pk}/file?prefer=a")

    assert answer.getvalue() == b"b"


def test_an_unknown_preferred_store_is_400(api: Any, two_copies: Image) -> None:
    answer = api.member.get(f"/v2/images/{two_copies.pk}/file?prefer=a,nope")

    assert answer.status_code == 400
    assert "Store 'nope' is not configured." in answer.content.decode()


@pytest.mark.parametrize("unset", ["disk_format", "container_format"])
def test_data_needs_both_formats(unset: str, api: Any, make_image: Any) -> None:
    image = make_image(**{unset: None})

    response = put(api.member, image)

    assert response.status_code == 400
    assert unset in response.content.decode()


@pytest.mark.parametrize(
    "status", ["saving", "uploading", "importing", "active", "deactivated"]
)
def test_data_is_taken_by_a_queued_image_only(
    status: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)

    assert put(api.admin, image).status_code == 409
    assert Image.objects.get().status == status


@pytest.mark.parametrize("status", ["pending_delete", "deleted"])
def test_data_of_a_deleted_image_is_404(status: str, api: Any, make_image: Any) -> None:
    image = make_image(status)

    assert put(api.admin, image).status_code == 404
    assert get(api.admin, image).status_code == 404


def test_an_image_that_is_deleted_during_its_upload_is_410(
    api: Any, make_image: Any, member: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image()
    upload = lifecycle.upload

    def deleted_meanwhile(image_id: str, blocks: Any, *args: Any, **named: Any) -> None:
        def slow() -> Any:
            yield from blocks
            lifecycle.delete(image_id, member)

        upload(image_id, slow(), *args, **named)

    monkeypatch.setattr(lifecycle, "upload", deleted_meanwhile)

    assert put(api.member, image).status_code == 410
    assert Image.objects.get().status == "deleted"


@pytest.mark.parametrize(
    ("error", "code"), [(errors.StoreFull, 413), (errors.StoreError, 503)]
)
def test_an_upload_to_a_failing_store_queues_the_image_again(
    error: type[errors.StoreError],
    code: int,
    api: Any,
    make_image: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(self: LocalStore, key: str, *data: Any) -> None:
        raise error("The store cannot be written.")

    monkeypatch.setattr(LocalStore, "put", failing)
    image = make_image()

    assert put(api.member, image).status_code == code
    assert Image.objects.get().status == "queued"


def test_a_body_that_ends_early_is_400(
    api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image()

    response = api.member.generic(
        "PUT", f"/v2/images/{image.pk}/file", DATA, OCTETS, CONTENT_LENGTH="100"
    )

    assert response.status_code == 400
    assert_nothing_left(image, data_dir)


# Download


def test_a_download_says_what_it_is(api: Any, make_image: Any) -> None:
    response = get(api.member, make_image("active", data=DATA))

    assert response.status_code == 200
    assert response["Content-Type"] == OCTETS
    assert response["Content-Length"] == str(len(DATA))
    assert response["Content-MD5"] == MD5
    assert response["Accept-Ranges"] == "bytes"
    for name in ("ETag", "Last-Modified", "Content-Disposition"):
        assert name not in response.headers


def head(client: Any, image: Image, **headers: str) -> Any:
    return client.head(f"/v2/images/{image.pk}/file", headers=headers)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=2-4"}])
def test_head_describes_the_whole_data(
    headers: dict[str, str], api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)

    response = head(api.member, image, **headers)

    assert (response.status_code, response.content) == (200, b"")
    of_get = dict(get(api.member, image).headers)
    del response.headers["x-openstack-request-id"], of_get["x-openstack-request-id"]
    assert dict(response.headers) == of_get
    assert response["Content-Length"] == str(len(DATA))
    assert response["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("status", ["queued", "active", "deactivated", "killed"])
@pytest.mark.parametrize("caller", ["member", "reader", "stranger", "admin"])
@pytest.mark.parametrize("visibility", ["public", "private"])
def test_head_has_the_status_code_of_get(
    status: str, caller: str, visibility: str, api: Any, make_image: Any
) -> None:
    data = DATA if status in ("active", "deactivated") else None
    image, client = (
        make_image(status, data, visibility=visibility),
        getattr(api, caller),
    )

    assert head(client, image).status_code == get(client, image).status_code


def test_head_of_data_that_the_store_has_lost_is_that_of_get(
    api: Any, make_image: Any, data_dir: Path
) -> None:
    image = make_image("active", data=DATA)
    for path in files(data_dir):
        path.unlink()

    assert head(api.member, image).status_code == 204
    assert get(api.member, image).status_code == 204


def test_head_leaves_no_file_open(api: Any, make_image: Any, data_dir: Path) -> None:
    image = make_image("active", data=DATA)

    head(api.member, image)

    files = [file.path for file in psutil.Process().open_files()]
    assert not [path for path in files if path.startswith(f"{data_dir}/images/")]


# Without an ETag no tag of a client's is that of the data.


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"If-Match": "*"}, 200),
        ({"If-Match": f'"{MD5}"'}, 412),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": f'"{MD5}"'}, 200),
        ({"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"}, 200),
        ({"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"Range": "bytes=2-4", "If-Range": f'"{MD5}"'}, 200),
        ({"Range": "bytes=2-4", "If-Range": "Sat, 01 Jan 2050 00:00:00 GMT"}, 200),
        ({"Range": "bytes=2-4", "If-Match": "*"}, 206),
    ],
)
def test_a_download_may_have_conditions(
    headers: dict[str, str], code: int, api: Any, make_image: Any
) -> None:
    response = get(api.member, make_image("active", data=DATA), **headers)

    assert response.status_code == code
    if code == 200:
        assert response.getvalue() == DATA


@pytest.mark.parametrize(
    ("headers", "queued", "active"),
    [
        ({"If-None-Match": "*"}, 204, 412),
        ({"If-None-Match": '"x"'}, 204, 409),
        ({"If-Match": "*"}, 412, 409),
        ({"If-Match": '"x"'}, 412, 412),
    ],
)
def test_an_upload_may_have_conditions(
    headers: dict[str, str], queued: int, active: int, api: Any, make_image: Any
) -> None:
    images = make_image(), make_image("active", data=DATA)

    assert [put(api.member, image, **headers).status_code for image in images] == [
        queued,
        active,
    ]


def test_without_a_checksum_there_is_none_in_the_answer(
    api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA, checksum=None)

    assert "Content-MD5" not in get(api.member, image).headers


@pytest.mark.parametrize(
    "status", ["queued", "saving", "uploading", "importing", "killed"]
)
def test_an_image_without_data_is_204(status: str, api: Any, make_image: Any) -> None:
    response = get(api.member, make_image(status), Range="bytes=0-1")

    assert (response.status_code, response.content) == (204, b"")


def test_data_of_an_image_that_is_queued_again_is_not_given_out(
    api: Any, make_image: Any
) -> None:
    assert get(api.admin, make_image("queued", data=DATA)).status_code == 204


def test_data_that_is_missing_is_204(api: Any, make_image: Any, data_dir: Path) -> None:
    image = make_image("active")
    for path in files(data_dir):
        path.unlink()

    assert get(api.member, image).status_code == 204


def test_an_image_of_no_bytes_is_200(api: Any, make_image: Any) -> None:
    image = make_image("active", data=b"")

    response = get(api.member, image)

    assert (response.status_code, response.getvalue()) == (200, b"")
    assert response["Content-Length"] == "0"
    assert get(api.member, image, Range="bytes=0-").status_code == 416


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-2", 0, 3),
        ("bytes=4-", 4, 21),
        ("bytes=-4", 17, 21),
        ("bytes=-99", 0, 21),
        ("bytes=18-99", 18, 21),
    ],
)
def test_a_part_is_206(
    asked: str, start: int, stop: int, api: Any, make_image: Any
) -> None:
    response = get(api.member, make_image("active", data=DATA), Range=asked)

    assert (response.status_code, response.getvalue()) == (206, DATA[start:stop])
    assert response["Content-Range"] == f"bytes {start}-{stop - 1}/21"
    assert response["Content-Length"] == str(stop - start)
    assert response["Content-MD5"] == MD5


def test_a_part_can_be_asked_for_by_content_range_too(
    api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)

    response = get(api.member, image, **{"Content-Range": "bytes 4-8/21"})

    assert (response.status_code, response.getvalue()) == (206, DATA[4:9])


@pytest.mark.parametrize("asked", ["bytes=21-", "bytes=5-4", "items=0-1", "bytes=x"])
def test_what_is_no_part_is_416(asked: str, api: Any, make_image: Any) -> None:
    response = get(api.member, make_image("active", data=DATA), Range=asked)

    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */21"


def test_a_content_range_without_a_range_is_416(api: Any, make_image: Any) -> None:
    image = make_image("active", data=DATA)

    response = get(api.member, image, **{"Content-Range": "bytes */21"})

    assert response.status_code == 416


def test_several_parts_at_once_are_400(api: Any, make_image: Any) -> None:
    image = make_image("active", data=DATA)

    assert get(api.member, image, Range="bytes=0-1,3-4").status_code == 400


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_whom_an_image_is_shared_with_may_download_it(
    status: str, api: Any, make_image: Any, stranger: Any
) -> None:
    image = make_image("active", data=DATA)
    Member.objects.create(image=image, member=stranger.project, status=status)

    assert get(api.stranger, image).getvalue() == DATA


def test_data_of_a_deactivated_image_is_for_admins(api: Any, make_image: Any) -> None:
    image = make_image("deactivated", data=DATA)

    refused = get(api.member, image)

    assert refused.status_code == 403
    assert "deactivated" in refused.content.decode()
    assert get(api.admin, image).getvalue() == DATA


def test_downloading_takes_no_body(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image('active').pk}/file"

    assert api.member.generic("GET", path, b"x").status_code == 400


def test_a_download_may_have_a_content_type(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image('active').pk}/file"

    assert api.member.get(path, CONTENT_TYPE=OCTETS).status_code == 200
