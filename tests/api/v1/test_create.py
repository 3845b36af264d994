"""POST /v1/images: with data, with nothing, and with no bytes at all."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any
from uuid import uuid4

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis import given

from images.api.v1 import headers
from images.models import Event, Image, Transfer
from tests.api.v1.conftest import kept, told

DATA = b"*" * 5120
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


def test_an_image_is_registered_with_its_data(api: Any, register: Any) -> None:
    response = register(
        api.admin, DATA, name="Image1", is_public="True", container_format="ovf"
    )

    image = response.json()["image"]
    assert response.status_code == 201
    assert (image["checksum"], image["size"]) == (MD5, 5120)
    assert (image["name"], image["is_public"]) == ("Image1", True)
    assert (image["status"], image["deleted"], image["deleted_at"]) == (
        "active",
        False,
        None,
    )
    assert response["ETag"] == MD5
    assert response["Location"] == f"http://testserver:80/v1/images/{image['id']}"
    assert told() == [
        ("create", "", "queued", "v1"),
        ("upload", "queued", "saving", "v1"),
        ("receive", "saving", "active", "v1"),
    ]


def test_an_image_is_registered_without_data(api: Any, register: Any) -> None:
    response = register(api.member, name="later")

    image = response.json()["image"]
    assert (response.status_code, image["status"]) == (201, "queued")
    assert (image["size"], image["checksum"]) == (0, None)
    assert (image["min_ram"], image["min_disk"]) == (0, 0)
    assert (image["is_public"], image["protected"]) == (False, False)
    assert "ETag" not in response
    assert image.keys() == {
        *("id", "name", "status", "size", "virtual_size", "disk_format"),
        *("container_format", "min_disk", "min_ram", "is_public", "checksum", "owner"),
        *("protected", "created_at", "updated_at", "deleted_at", "deleted"),
        "properties",
    }


def test_no_bytes_at_all_make_an_image_active_at_once(api: Any, register: Any) -> None:
    image = register(api.member, size=0).json()["image"]

    assert (image["status"], image["size"]) == ("active", 0)
    assert told() == [("create", "", "active", "v1")]
    given = api.member.get(f"/v1/images/{image['id']}")
    assert (given.status_code, b"".join(given)) == (200, b"")
    assert given["Content-Length"] == "0"
    assert kept() == []


def test_version_2_gives_out_an_image_of_no_bytes_and_deletes_it(
    api: Any, register: Any
) -> None:
    image_id = register(api.member, size=0).json()["image"]["id"]

    given = api.member.get(f"/v2/images/{image_id}/file")
    assert b"".join(given) == b""
    assert api.member.delete(f"/v2/images/{image_id}").status_code == 204
    assert Image.objects.get().status == "pending_delete"


def test_a_size_is_announced_for_data_that_comes_later(
    api: Any, register: Any, put: Any
) -> None:
    image = register(api.member, size=5120).json()["image"]
    assert (image["status"], image["size"]) == ("queued", 5120)

    filled = put(api.member, Image(pk=image["id"]), DATA)
    assert (filled.status_code, filled.json()["image"]["status"]) == (200, "active")


def test_the_metadata_is_kept(api: Any, register: Any) -> None:
    given = str(uuid4())
    fields = {"id": given, "min_ram": 512, "min_disk": 10, "protected": "yes"}

    image = register(
        api.member, **fields, properties={"Distro": "Debian", "os-type": "linux"}
    ).json()["image"]

    assert image["id"] == given
    assert (image["min_ram"], image["min_disk"]) == (512, 10)
    assert image["protected"] is True
    assert image["properties"] == {"distro": "Debian", "os_type": "linux"}


@pytest.mark.parametrize(
    "sent", ["Ünïcode 日本", "%C3%9Cn%C3%AFcode%20%E6%97%A5%E6%9C%AC"]
)
def test_text_is_utf_8_as_it_is_or_percent_encoded(
    sent: str, api: Any, register: Any
) -> None:
    sent = sent.encode().decode("latin-1")

    image = register(api.member, name=sent, properties={"os": sent}).json()["image"]

    assert image["name"] == image["properties"]["os"] == "Ünïcode 日本"


@pytest.mark.parametrize("name", ["100%", "50% off", "%zz", "a%FFb", "100% %20"])
def test_a_percent_sign_may_be_just_that(name: str, api: Any, register: Any) -> None:
    assert register(api.member, name=name).json()["image"]["name"] == name


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("http://h/a%20b", "http://h/a%20b"),  # as people write it
        ("http://h/a%2Fb", "http://h/a%2Fb"),
        ("http://h/a%2520b", "http://h/a%20b"),  # as glanceclient sends it
        ("http://h/a%3Fb%3D1%26c", "http://h/a?b=1&c"),
        ("http://h/a?b=1&c=%20", "http://h/a?b=1&c=%20"),
        ("http://h/%0d%0aX", "http://h/%0d%0aX"),
    ],
)
def test_a_url_keeps_its_own_percent_encoding(sent: str, meant: str) -> None:
    assert headers.unquoted(sent) == meant


def test_the_status_of_the_client_is_passed_over(api: Any, register: Any) -> None:
    image = register(
        api.member, status="active", deleted="True", created_at="2001-01-01", uri="x"
    ).json()["image"]

    assert (image["status"], image["deleted"]) == ("queued", False)


def test_the_owner_is_the_caller_s_project_unless_an_admin_says_otherwise(
    api: Any, register: Any
) -> None:
    def owner(client: Any) -> str:
        return register(client, owner="project-z").json()["image"]["owner"]

    assert (owner(api.member), owner(api.admin)) == ("project-a", "project-z")


def test_an_id_is_taken_once(api: Any, register: Any) -> None:
    given = str(uuid4())

    assert register(api.member, id=given).status_code == 201
    assert register(api.member, id=given).status_code == 409


@pytest.mark.parametrize(
    ("control", "code"),
    [
        ({"Content-Range": "bytes 600-999/1000"}, 400),
        ({"Upload-Complete": "?0"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_a_part_or_encoded_data_registers_nothing(
    control: dict[str, str], code: int, api: Any, register: Any
) -> None:
    response = register(api.member, DATA, control=control)

    assert response.status_code == code
    assert not Image.objects.exists()
    assert not kept()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"foo": "1"}, "Bad header: x-image-meta-foo"),
        ({"id": "no-uuid"}, "Invalid id"),
        ({"name": "x" * 256}, "longer than 255"),
        ({"size": "many"}, "Incoming image size of many was not convertible"),
        ({"min_ram": "1.5"}, "not convertible to an integer"),
        ({"min_disk": "-1"}, "Cannot be a negative value"),
        ({"size": "-1"}, "Cannot be a negative value"),
        ({"size": 1 << 41}, "Denying attempt to upload image larger than"),
        ({"size": 10**30}, "Denying attempt to upload image larger than"),
        ({"disk_format": "x"}, "Invalid disk format 'x' for image."),
        ({"container_format": "x"}, "Invalid container format 'x' for image"),
        ({"disk_format": "ami"}, "Invalid mix of disk and container formats"),
        ({"store": "cloud"}, None),
        ({"checksum": "0" * 33}, "Invalid checksum"),
        ({"checksum": "%00"}, "Invalid checksum"),
        ({"location": "file:///etc/passwd"}, "External sourcing not supported"),
        ({"copy_from": "file:///etc/passwd"}, "External sourcing not supported"),
        (
            {"location": "http://h/1", "copy_from": "http://h/2"},
            "invalid to provide multiple image sources",
        ),
    ],
)
def test_what_makes_no_sense_is_400_and_registers_nothing(
    fields: Any, words: str | None, api: Any, register: Any
) -> None:
    data = b"x" if "store" in fields else None

    response = register(api.member, data, **fields)

    assert response.status_code == 400
    assert (words or "Store for scheme cloud not found") in response.text
    assert not Image.objects.exists()


def test_a_body_and_a_location_are_one_source_too_many(api: Any, register: Any) -> None:
    response = register(api.member, b"x", location="http://example.org/image")

    assert response.status_code == 400
    assert "multiple image sources" in response.text


@pytest.mark.parametrize("missing", ["disk_format", "container_format"])
def test_data_needs_both_formats(missing: str, api: Any, register: Any) -> None:
    assert register(api.member, **{missing: None}).status_code == 201

    response = register(api.member, DATA, **{missing: None})

    words = f"Invalid {missing.replace('_', ' ')} 'None' for image."
    assert (response.status_code, words in response.text) == (400, True)
    assert Image.objects.count() == 1


def test_a_format_of_amazon_s_stands_for_both(api: Any, register: Any) -> None:
    image = register(api.member, disk_format="ami", container_format=None).json()

    assert image["image"]["container_format"] == "ami"


def test_who_may_not_is_403(api: Any, register: Any) -> None:
    assert register(api.reader).status_code == 403
    assert register(api.member, is_public="true").status_code == 403
    assert not Image.objects.exists()


def test_too_many_properties_are_413(api: Any, register: Any) -> None:
    many = {f"p{number}": "x" for number in range(129)}

    assert register(api.member, properties=many).status_code == 413


def test_nobody_registers_without_signing_in(client: Any, register: Any) -> None:
    assert register(client).status_code == 401


# Uploads that fail


def failed(response: Any, code: int) -> Transfer:
    """An answer with this code; the image is killed, with an event, and there are no bytes."""
    assert response.status_code == code, response.text
    assert Image.objects.get().status == "killed"
    event = Event.objects.last()
    assert (event.verb, event.from_status, event.to_status) == (
        "fail",
        "saving",
        "killed",
    )
    assert event.reason
    assert kept() == []
    return Transfer.objects.get()


def test_a_wrong_checksum_kills(api: Any, register: Any) -> None:
    response = register(api.member, DATA, checksum="0" * 32)

    failed(response, 400)
    assert f"checksum generated from uploaded image ({MD5}) did not" in response.text


def test_a_wrong_digest_kills(api: Any, register: Any) -> None:
    other = b64encode(bytes(32)).decode()

    response = register(api.member, DATA, control={"Repr-Digest": f"sha-256=:{other}:"})

    assert response.status_code == 400
    assert "Digest mismatch: sha-256 is" in response.text
    assert Image.objects.get().status == "killed"


@pytest.mark.parametrize("digest", ["0" * 32, "no digest"])
def test_a_wrong_digest_of_the_owner_kills(
    digest: str, api: Any, register: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = True
    stated = {"owner_specified.openstack.md5": digest}

    failed(register(api.member, DATA, properties=stated), 400)


def test_a_malformed_digest_creates_nothing(api: Any, register: Any) -> None:
    response = register(api.member, DATA, control={"Repr-Digest": "sha-256=:YQ==:"})

    assert (response.status_code, Image.objects.exists()) == (400, False)


def test_the_right_checksum_does_not(api: Any, register: Any) -> None:
    assert register(api.member, DATA, checksum=MD5.upper()).status_code == 201


@pytest.mark.parametrize("size", [5119, 5121])
def test_a_wrong_size_kills(size: int, api: Any, register: Any) -> None:
    failed(register(api.member, DATA, size=size), 400)


def test_bytes_where_none_should_be_kill(api: Any, register: Any) -> None:
    failed(register(api.member, DATA, size=0), 400)


def test_another_content_type_kills(api: Any, register: Any) -> None:
    response = register(api.member, DATA, content_type="application/json")

    failed(response, 400)
    assert "Content-Type must be application/octet-stream" in response.text


def test_what_is_not_the_format_kills(api: Any, register: Any) -> None:
    failed(register(api.member, DATA, disk_format="qcow2"), 400)


@pytest.mark.parametrize("announced", [{}, {"size": 5120}])
def test_more_than_the_project_may_have_kills(
    announced: Any, api: Any, register: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 5119

    failed(register(api.member, DATA, **announced), 413)


def test_a_store_that_cannot_be_written_kills(
    api: Any, register: Any, settings: Any, tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings.IMAGECATALOG_STORES = f"broken=file://{tmp_path}/file/images"

    response = register(api.member, DATA)

    settings.IMAGECATALOG_STORES = f"broken=file://{tmp_path}/images"
    failed(response, 503)


def test_a_store_that_is_only_read_registers_nothing(api: Any, register: Any) -> None:
    assert register(api.member, DATA, store="http").status_code == 503
    assert not Image.objects.exists()


def test_a_store_is_named_by_its_kind_or_its_id(
    api: Any, register: Any, settings: Any, tmp_path: Any
) -> None:
    settings.IMAGECATALOG_STORES += f",second=file://{tmp_path}/second"

    for name, store in (("file", "local"), ("second", "second"), ("local", "local")):
        image = register(api.member, DATA, store=name).json()["image"]
        row = Image.objects.get(pk=image["id"])
        assert row.locations.get().store == store


def test_a_killed_image_can_only_be_deleted(
    api: Any, register: Any, put: Any, make_image: Any
) -> None:
    image = make_image("killed")

    assert api.member.get(f"/v1/images/{image.pk}").status_code == 404
    assert api.member.head(f"/v1/images/{image.pk}")["x-image-meta-status"] == "killed"
    assert put(api.member, image, DATA, size=5120).status_code == 409
    located = put(api.member, image, location="http://example.org/image")
    assert located.status_code == 400
    assert api.member.delete(f"/v1/images/{image.pk}").status_code == 200
    assert Image.objects.get().status == "deleted"


TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=9)
FIELDS = sorted({*headers.FIELDS, "property-a", "property-%00", "nothing"})


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), TEXT | st.just("%00"), max_size=4),
    has_data=st.booleans(),
)
@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[*hypothesis.HealthCheck]
)
def test_nothing_that_headers_can_say_is_too_much(
    register: Any, put: Any, api: Any, fields: dict[str, str], has_data: bool
) -> None:
    code = register(api.admin, DATA if has_data else None, **fields).status_code
    assert code in (201, 400, 403, 409)

    if image := Image.objects.filter(status="queued").first():
        code = put(api.admin, image, **fields).status_code
        assert code in (200, 400, 403, 409)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Property-a%FF", "1"), ("Property-a", "\xff"), ("Name", "caf\xe9")],
)
def test_headers_that_are_not_utf_8_are_refused(
    name: str, value: str, api: Any
) -> None:
    environ = {f"HTTP_X_IMAGE_META_{name.upper().replace('-', '_')}": value}

    response = api.member.post(
        "/v1/images", content_type="application/octet-stream", **environ
    )

    assert response.status_code == 400
    assert not Image.objects.exists()


EMPTY = ("x-image-meta-location", "x-image-meta-copy-from", "x-glance-api-copy-from")


@pytest.mark.parametrize("value", ["", " ", "%20"])
@pytest.mark.parametrize("name", EMPTY)
def test_a_source_without_a_url_is_refused(
    name: str, value: str, api: Any, register: Any, put: Any, make_image: Any
) -> None:
    response = register(api.member, control={name: value})
    changed = put(api.member, make_image(), control={name: value})

    assert (response.status_code, changed.status_code) == (400, 400)
    assert "must not be empty" in response.text
    assert Image.objects.count() == 1


def test_two_urls_to_copy_from_are_refused(api: Any, register: Any) -> None:
    other = {"x-glance-api-copy-from": "http://h/2"}

    response = register(api.member, copy_from="http://h/1", control=other)

    assert (response.status_code, Image.objects.exists()) == (400, False)


@pytest.mark.parametrize("name", ["created_at", "updated_at", "deleted_at"])
def test_a_time_has_no_effect_but_must_be_one(
    name: str, api: Any, register: Any
) -> None:
    times = ("2013-11-25T10:11:12", "2013-11-25T10:11:12.123456Z", "2013-11-25 10:11")
    for time in ("yesterday", "2013-13-01", "1385374272"):
        assert register(api.member, **{name: time}).status_code == 400
    for time in ("", "None", *times):
        assert register(api.member, **{name: time}).status_code == 201


@pytest.mark.parametrize("value", ["None", "none", ""])
def test_an_unknown_virtual_size_may_be_named(
    value: str, api: Any, register: Any
) -> None:
    response = register(api.member, virtual_size=value)

    assert response.status_code == 201
    assert response.json()["image"]["virtual_size"] is None


@pytest.mark.parametrize("digits", [19, 20, 5000])
def test_a_large_number_is_too_large_and_not_malformed(
    digits: int, api: Any, register: Any
) -> None:
    size = register(api.member, size="9" * digits)
    disk = register(api.member, min_disk="9" * digits)

    assert (size.status_code, disk.status_code) == (400, 400)
    assert "larger than" in size.text
    assert "Cannot be greater than" in disk.text
    assert register(api.member, min_disk="0" * digits + "7").status_code == 201


def test_a_store_that_does_not_exist_is_refused_also_without_data(
    api: Any, register: Any
) -> None:
    response = register(api.member, store="nowhere")

    assert (response.status_code, Image.objects.exists()) == (400, False)
    assert "nowhere" in response.text
