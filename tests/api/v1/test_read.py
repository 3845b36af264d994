"""HEAD and GET of an image, and DELETE."""

from __future__ import annotations

from typing import Any

import pytest

from images import stores
from images.models import READABLE_STATUSES, Image, Status

DATA = b"the bytes of an image"


def path(image: Image) -> str:
    return f"/v1/images/{image.pk}"


def test_the_metadata_is_in_the_headers(api: Any, make_image: Any) -> None:
    image = make_image(
        "active",
        data=DATA,
        name="Image1",
        visibility="public",
        min_ram=5,
        properties={"distro": "Debian"},
    )

    head, get = api.stranger.head(path(image)), api.stranger.get(path(image))

    assert (head.status_code, head.content) == (200, b"")
    assert (get.status_code, b"".join(get)) == (200, DATA)
    for response in (head, get):
        assert response["x-image-meta-id"] == image.pk
        assert response["x-image-meta-name"] == "Image1"
        assert response["x-image-meta-is_public"] == "True"
        assert response["x-image-meta-protected"] == "False"
        assert response["x-image-meta-deleted"] == "False"
        assert response["x-image-meta-status"] == "active"
        assert response["x-image-meta-disk_format"] == "raw"
        assert response["x-image-meta-container_format"] == "bare"
        assert response["x-image-meta-size"] == str(len(DATA))
        assert response["x-image-meta-checksum"] == image.checksum
        assert response["x-image-meta-owner"] == "project-a"
        assert response["x-image-meta-min_ram"] == "5"
        assert response["x-image-meta-property-distro"] == "Debian"
        assert response["x-image-meta-created_at"].startswith("20")
        assert "+" not in response["x-image-meta-created_at"]
        assert response["ETag"] == image.checksum
        # What is null is not there, and nobody is told where the data is.
        for name in ("deleted_at", "virtual_size", "location"):
            assert f"x-image-meta-{name}" not in response
    assert get["Content-Length"] == str(len(DATA))
    assert get["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "value", ["é 日本", "two\nlines", "\ttabs\t", "100%", "a%20b", "", "\r\nX-Evil: 1"]
)
def test_any_text_survives_the_way_through_headers(
    value: str, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={"os": value})

    sent = api.member.head(path(image))["x-image-meta-property-os"]
    put(api.member, image, properties={"os": sent})

    assert "\n" not in sent
    assert Image.objects.get().properties == {"os": value}


@pytest.mark.parametrize("name", ["a b", "é", "A-b", "x:y", "a/b", "Kernel_ID"])
def test_any_name_of_a_property_survives_the_way_through_headers(
    name: str, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={name: "1"})
    prefix = "x-image-meta-property-"

    head = api.member.head(path(image))
    (sent,) = [key for key in head.headers if key.lower().startswith(prefix)]
    assert "/" not in sent  # servers refuse to send such a name
    put(api.member, image, properties={sent[len(prefix) :]: "2"})

    assert Image.objects.get().properties == {name: "2"}


@pytest.mark.parametrize("status", Status.values)
def test_what_each_status_answers(status: str, api: Any, make_image: Any) -> None:
    image = make_image(status)
    deleted = status in (Status.PENDING_DELETE, Status.DELETED)

    assert api.member.head(path(image)).status_code == (404 if deleted else 200)
    told = api.admin.head(path(image))
    assert (told.status_code, told["x-image-meta-status"]) == (200, status)
    code = {Status.ACTIVE: 200, Status.DEACTIVATED: 403}.get(status, 404)
    assert api.member.get(path(image)).status_code == code
    assert api.admin.get(path(image)).status_code == (
        200 if status in READABLE_STATUSES else 404
    )


def test_a_deleted_image_says_so_to_an_admin(api: Any, make_image: Any) -> None:
    head = api.admin.head(path(make_image("deleted")))

    assert head["x-image-meta-deleted"] == "True"
    assert head["x-image-meta-deleted_at"].startswith("20")


def test_who_sees_an_image(api: Any, make_image: Any) -> None:
    codes = {
        visibility: api.stranger.head(path(make_image(visibility=visibility)))
        for visibility in ("private", "shared", "community", "public")
    }

    assert {name: it.status_code for name, it in codes.items()} == {
        "private": 404,
        "shared": 404,
        "community": 200,
        "public": 200,
    }
    assert codes["community"]["x-image-meta-is_public"] == "False"


def test_a_member_of_the_image_downloads_it_and_a_reader_does_not(
    api: Any, make_image: Any
) -> None:
    image = make_image("active")
    image.members.create(member="project-b")

    assert api.stranger.get(path(image)).status_code == 200
    assert api.reader.get(path(image)).status_code == 403


def test_data_that_was_removed_behind_our_back_is_404_but_known(
    api: Any, make_image: Any
) -> None:
    image = make_image("active")
    for key, _ in list(stores.default().keys()):
        stores.default().delete(key)

    assert api.member.head(path(image)).status_code == 200
    assert api.member.get(path(image)).status_code == 404


def test_a_part_of_the_data_can_be_asked_for(api: Any, make_image: Any) -> None:
    image = make_image("active", data=DATA)

    response = api.member.get(path(image), headers={"Range": "bytes=4-8"})

    assert (response.status_code, b"".join(response)) == (206, DATA[4:9])


@pytest.mark.parametrize("method", ["post", "patch"])
def test_other_methods_are_405(method: str, api: Any, make_image: Any) -> None:
    assert getattr(api.member, method)(path(make_image())).status_code == 405


@pytest.mark.parametrize("prefix", ["/v1", "/v1.0", "/v1.1"])
def test_the_version_has_three_names(prefix: str, api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.member.head(f"{prefix}/images/{image.pk}").status_code == 200
    assert api.member.get(f"{prefix}/images").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/images/no-uuid", "/v1/images/x/y"]
)
def test_what_is_not_there_is_404(path: str, api: Any) -> None:
    assert api.member.get(path).status_code == 404


def test_nothing_is_told_without_signing_in(client: Any, make_image: Any) -> None:
    image = make_image(visibility="public")

    for response in (client.get("/v1/images"), client.get(path(image))):
        assert response.status_code == 401


# DELETE


def test_an_image_is_deleted(api: Any, make_image: Any) -> None:
    image = make_image("active")

    response = api.member.delete(path(image))

    assert (response.status_code, response.content) == (200, b"")
    assert Image.objects.get().status == "pending_delete"
    assert Image.objects.get().events.last().interface == "v1"


def test_the_reason_of_a_deletion_is_in_the_history(api: Any, make_image: Any) -> None:
    image = make_image("active")

    api.member.delete(path(image), headers={"X-Reason": "end of life"})

    assert Image.objects.get().events.last().reason == "end of life"


def test_what_cannot_be_deleted(api: Any, make_image: Any) -> None:
    trashed, gone = make_image("pending_delete"), make_image("deleted")
    protected = make_image(protected=True)

    refused = api.admin.delete(path(trashed))
    assert refused.status_code == 403
    assert "Forbidden to delete a pending_delete image." in refused.text
    assert api.member.delete(path(trashed)).status_code == 404
    assert api.admin.delete(path(gone)).status_code == 404
    assert "is protected" in api.member.delete(path(protected)).text
    assert api.admin.delete(path(protected)).status_code == 403


# Conditions


def test_head_describes_the_data_as_get_does(api: Any, make_image: Any) -> None:
    image = make_image("active", data=DATA)

    head, get = api.member.head(path(image)), api.member.get(path(image))

    for name in ("Content-Length", "Content-Type", "Content-MD5", "Accept-Ranges"):
        assert head[name] == get[name]
    assert head["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("form", ["{}", '"{}"', 'W/"{}"', '"x", "{}"', "x,{}", "*"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_data_that_a_client_has_is_not_sent_again(
    method: str, form: str, api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)
    known = {"If-None-Match": form.format(image.checksum)}

    response = getattr(api.member, method)(path(image), headers=known)

    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == image.checksum
    assert "Content-Type" not in response


@pytest.mark.parametrize("known", ['"x"', "", '""', "W/", '"', "a b", "*, *"])
def test_other_data_is_sent(known: str, api: Any, make_image: Any) -> None:
    image = make_image("active", data=DATA)

    response = api.member.get(path(image), headers={"If-None-Match": known})

    assert b"".join(response) == DATA


@pytest.mark.parametrize(
    ("required", "met"),
    [("{}", True), ('"{}"', True), ("*", True), ('W/"{}"', False), ('"x"', False)],
)
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_a_request_may_require_the_data(
    method: str, required: str, met: bool, api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)
    headers = {"If-Match": required.format(image.checksum)}

    response = getattr(api.member, method)(path(image), headers=headers)

    assert response.status_code == (200 if met else 412)
    if not met:
        assert Image.objects.get().status == Status.ACTIVE


@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_change_may_require_other_data(
    method: str, api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)
    headers = {"If-None-Match": image.checksum}

    assert getattr(api.member, method)(path(image), headers=headers).status_code == 412


@pytest.mark.parametrize(
    ("known", "code"),
    [("{}", 206), ('"{}"', 206), ('W/"{}"', 200), ('"x"', 200), ("*", 200)],
)
def test_a_range_is_sent_only_of_the_data_that_the_client_has_begun(
    known: str, code: int, api: Any, make_image: Any
) -> None:
    image = make_image("active", data=DATA)
    headers = {"Range": "bytes=2-4", "If-Range": known.format(image.checksum)}

    response = api.member.get(path(image), headers=headers)

    assert response.status_code == code
    assert b"".join(response) == (DATA[2:5] if code == 206 else DATA)
