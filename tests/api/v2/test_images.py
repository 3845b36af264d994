from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from images.access import Caller, implied
from images.api import authentication
from images.api.v2.patch import V2_1
from images.models import Event, Image, Member, Status

GRIN = "\U0001f600"
ID = "ABCDEF01-89ab-cdef-0123-456789ABCDEF"
LIVE = sorted(set(Status.values) - {"pending_delete", "deleted"})


# Create


def test_an_empty_object_is_enough_for_an_image(api: Any, create: Any) -> None:
    response = create(api.member)

    image = response.json()
    path = f"/v2/images/{image['id']}"
    assert response.status_code == 201
    assert response["Content-Type"] == "application/json"
    assert image == {
        "name": None,
        "disk_format": None,
        "container_format": None,
        "visibility": "shared",
        "size": None,
        "virtual_size": None,
        "status": "queued",
        "checksum": None,
        "protected": False,
        "min_ram": 0,
        "min_disk": 0,
        "owner": "project-a",
        "os_hidden": False,
        "os_hash_algo": None,
        "os_hash_value": None,
        "id": image["id"],
        "created_at": image["created_at"],
        "updated_at": image["created_at"],
        "locations": [],
        "tags": [],
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def test_a_new_image_is_shown_as_it_was_answered(api: Any, create: Any) -> None:
    answered = create(
        api.member,
        name="debian",
        disk_format="qcow2",
        container_format="bare",
        visibility="community",
        protected=True,
        min_ram=512,
        min_disk=2147483647,
        os_hidden=True,
        tags=["b", "a", "b"],
        os_distro="débian",
    )

    shown = api.member.get(answered["Location"]).json()
    assert shown == answered.json()
    assert (shown["tags"], shown["os_distro"]) == (["a", "b"], "débian")


def test_custom_properties_come_first(api: Any, create: Any) -> None:
    image = create(api.member, name="debian", os_distro="debian").json()

    assert next(iter(image)) == "os_distro"


def test_the_location_of_a_new_image_is_absolute(api: Any, create: Any) -> None:
    response = create(api.member)

    assert response["Location"] == (
        f"http://testserver:80/v2/images/{response.json()['id']}"
    )


def test_the_public_url_is_the_base_of_the_location(
    api: Any, create: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example"

    response = create(api.member)

    assert response["Location"].startswith("https://images.example/v2/images/")


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("images_1:9292", "http://images_1:9292/"),  # a name of a container network
        ("[::1]:9292", "http://[::1]:9292/"),
        ("a b", "http://testserver:80/"),
        ("evil.example/?", "http://testserver:80/"),
    ],
)
def test_links_name_the_host_that_was_asked(host: str, base: str, api: Any) -> None:
    response = api.member.post(
        "/v2/images", {}, content_type="application/json", headers={"Host": host}
    )

    assert response.status_code == 201
    assert response["Location"].startswith(f"{base}v2/images/")


def test_creation_names_the_real_stores(
    api: Any, create: Any, settings: Any, tmp_path: Any
) -> None:
    settings.IMAGECATALOG_STORES = f"fast=file://{tmp_path}/a,cold=file://{tmp_path}/b"

    response = create(api.member)

    assert response["OpenStack-image-store-ids"] == "fast,cold"
    shown = api.member.get(response["Location"])
    assert "OpenStack-image-store-ids" not in shown.headers


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain"])
def test_creation_does_not_look_at_the_content_type(
    content_type: str, api: Any
) -> None:
    response = api.member.post(
        "/v2/images", b'{"name": "x"}', content_type=content_type
    )

    assert response.json()["name"] == "x"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'"text"', b"7", b"null", b"[]", b'[{"name": "x"}]']
)
def test_a_body_that_is_no_json_object_is_400(body: bytes, api: Any) -> None:
    response = api.member.post("/v2/images", body, content_type="application/json")

    assert response.status_code == 400


@pytest.mark.parametrize(
    "document",
    [
        {"name": 7},
        {"name": "x" * 256},
        {"name": "nul\0"},
        {"name": GRIN},
        {"owner": "x" * 256},
        {"id": "not-a-uuid"},
        {"id": None},
        {"id": "{" + ID + "}"},
        {"visibility": "Public"},
        {"visibility": None},
        {"disk_format": "RAW"},
        {"disk_format": "floppy"},
        {"container_format": "box"},
        {"min_disk": -1},
        {"min_ram": 2147483648},
        {"min_ram": 1.5},
        {"min_ram": "1"},
        {"min_ram": True},
        {"protected": "true"},
        {"protected": 1},
        {"os_hidden": 0},
        {"tags": "a"},
        {"tags": [7]},
        {"tags": ["x" * 256]},
        {"tags": [GRIN]},
        {"tags": [""]},
        {"os_distro": 7},
        {"os_distro": None},
        {"os_distro": ["debian"]},
        {"os_distro": GRIN},
        {"is_public": True},
        {"x" * 256: "value"},
        {"nul\0": "value"},
        {"": "value"},
    ],
)
def test_an_attribute_of_the_wrong_kind_is_400(
    document: dict[str, Any], api: Any, create: Any
) -> None:
    response = create(api.admin, document)

    assert response.status_code == 400
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    "name",
    [
        "status",
        "checksum",
        "size",
        "virtual_size",
        "created_at",
        "updated_at",
        "self",
        "file",
        "schema",
        "direct_url",
        "stores",
        "locations",
        "location",
        "deleted",
        "deleted_at",
        "os_glance_x",
    ],
)
def test_an_attribute_that_only_the_service_sets_is_403(
    name: str, api: Any, create: Any
) -> None:
    response = create(api.admin, {name: "0"})

    assert response.status_code == 403


def test_even_a_size_of_nothing_is_403(api: Any, create: Any) -> None:
    assert create(api.admin, size=0).status_code == 403


def test_hashes_are_dropped_without_a_word(api: Any, create: Any) -> None:
    response = create(api.member, os_hash_algo="md5", os_hash_value="0")

    assert response.status_code == 201
    assert response.json()["os_hash_algo"] is None


def test_a_whole_number_may_have_a_fraction_of_nothing(api: Any, create: Any) -> None:
    image = create(api.member, min_ram=1.0).json()

    assert image["min_ram"] == 1
    assert isinstance(image["min_ram"], int)


def test_is_public_is_an_ordinary_property(api: Any, create: Any) -> None:
    image = create(api.member, is_public="yes").json()

    assert (image["is_public"], image["visibility"]) == ("yes", "shared")


@pytest.mark.parametrize(
    ("who", "document", "code"),
    [
        ("member", {"owner": "project-a"}, 201),
        ("member", {"owner": None}, 403),
        ("admin", {"owner": None}, 201),
        ("member", {"visibility": "private"}, 201),
    ],
)
def test_who_may_create_what(
    who: str, document: dict[str, Any], code: int, api: Any, create: Any
) -> None:
    response = create(getattr(api, who), document)

    assert response.status_code == code
    assert Image.objects.count() == (code == 201)


def test_an_id_can_be_chosen_and_keeps_its_case(api: Any, create: Any) -> None:
    response = create(api.member, id=ID)

    assert response.json()["id"] == ID
    assert api.member.get(f"/v2/images/{ID}").json()["self"] == f"/v2/images/{ID}"


@pytest.mark.parametrize("status", ["queued", "deleted", "pending_delete"])
def test_an_id_that_is_or_was_another_project_s_is_409(
    status: str, api: Any, create: Any, make_image: Any
) -> None:
    image = make_image(status)

    assert create(api.stranger, id=image.pk).status_code == 409


@pytest.mark.parametrize(("count", "code"), [(128, 201), (129, 413)])
def test_more_than_128_tags_or_properties_are_413(
    count: int, code: int, api: Any, create: Any
) -> None:
    names = [f"n{number}" for number in range(count)]

    assert create(api.member, tags=names).status_code == code
    assert create(api.member, dict.fromkeys(names, "x")).status_code == code


def test_a_document_that_is_far_too_long_is_413(api: Any, create: Any) -> None:
    assert create(api.member, text="x" * (1 << 20)).status_code == 413


def test_the_history_names_the_caller_and_the_request(
    api: Any, create: Any, member: Any
) -> None:
    response = create(api.member)

    event = Event.objects.get()
    assert (event.actor, event.project) == (member.user, member.project)
    assert (event.interface, event.request_id) == (
        "v2",
        response["X-OpenStack-Request-ID"],
    )


# Show


def test_an_image_is_shown(api: Any, make_image: Any) -> None:
    image = make_image(
        "active",
        data=b"four",
        created_at=datetime(2026, 1, 2, 3, 4, 5, 999999, UTC),
    )

    shown = api.member.get(f"/v2/images/{image.pk}").json()

    assert (shown["status"], shown["size"], shown["os_hash_algo"]) == (
        "active",
        4,
        "sha512",
    )
    assert re.fullmatch("[0-9a-f]{32}", shown["checksum"])
    assert shown["created_at"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("status", LIVE)
def test_an_image_is_shown_in_every_status(
    status: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)

    assert api.member.get(f"/v2/images/{image.pk}").json()["status"] == status


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
@pytest.mark.parametrize("status", ["deleted", "pending_delete", None])
def test_an_image_that_is_not_there_is_404(
    method: str, status: str | None, api: Any, make_image: Any, change: Any
) -> None:
    image = make_image(status) if status else Image()
    path = f"/v2/images/{image.pk}"

    response = (
        change(api.admin, image)
        if method == "patch"
        else getattr(api.admin, method)(path)
    )

    assert response.status_code == 404


@pytest.mark.parametrize("image_id", ["not-a-uuid", ID.replace("-", ""), f"{ID}0"])
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_id_that_is_none_is_404(method: str, image_id: str, api: Any) -> None:
    assert getattr(api.admin, method)(f"/v2/images/{image_id}").status_code == 404


def test_a_line_break_is_not_part_of_an_id(api: Any, make_image: Any) -> None:
    image = make_image()

    assert api.member.get(f"/v2/images/{image.pk}%0A").status_code == 404


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_a_shared_image_is_shown_whatever_the_member_has_answered(
    status: str, api: Any, make_image: Any, stranger: Any
) -> None:
    image = make_image()
    Member.objects.create(image=image, member=stranger.project, status=status)

    assert api.stranger.get(f"/v2/images/{image.pk}").status_code == 200


def test_showing_takes_no_body(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image().pk}"

    assert api.member.generic("GET", path, b"x").status_code == 400


def test_a_content_type_without_a_body_harms_nobody(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image().pk}"

    response = api.member.get(path, CONTENT_TYPE="application/octet-stream")

    assert response.status_code == 200


WEB = "https://example.org/image"


@pytest.fixture
def twice_located(make_image: Any) -> Image:
    """A public image with a copy in the store and one at a web address."""
    image = make_image("active", visibility="public")
    image.locations.create(store="http", key=WEB)
    return image


def shown_urls(client: Any, image: Image) -> list[str]:
    """The scheme of each location; the first one is that of ``direct_url``."""
    shown = client.get(f"/v2/images/{image.pk}").json()
    assert shown["stores"] == "local,http"
    urls = [location["url"] for location in shown["locations"]]
    assert urls[:1] == ([shown["direct_url"]] if "direct_url" in shown else [])
    return [url.partition(":")[0] for url in urls]


# setting -> what admins, a service, the owner's member and its reader, and strangers see
SEEN_URLS = {
    "off": ([], [], [], [], []),
    "privileged": (["file", "https"], ["file", "https"], [], [], []),
    "owner": (["file", "https"], ["file", "https"], ["https"], ["https"], []),
    "all": (["file", "https"],) * 4 + ([],),
}


@pytest.mark.parametrize("shown_to", SEEN_URLS)
def test_who_sees_where_the_data_is(
    api: Any,
    client_of: Any,
    twice_located: Image,
    settings: Any,
    shown_to: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.IMAGECATALOG_SHOW_LOCATIONS = shown_to
    found = [
        shown_urls(client, twice_located)
        for client in (api.admin, api.member, api.reader, api.stranger)
    ]
    roles = implied("reader", "service")
    service = Caller("nova", "services", roles, interface="v2")
    monkeypatch.setitem(authentication.MODES, "embedded", lambda request: service)
    found.insert(1, shown_urls(Client(), twice_located))

    assert tuple(found) == SEEN_URLS[shown_to]


def test_a_location_is_not_chosen_by_a_position_that_is_not_shown(
    api: Any, twice_located: Image, settings: Any
) -> None:
    path = f"/v2/images/{twice_located.pk}"
    remove = json.dumps([{"op": "remove", "path": "/locations/0"}])
    settings.IMAGECATALOG_SHOW_LOCATIONS = "off"

    refused = api.admin.patch(path, remove, content_type=V2_1)
    settings.IMAGECATALOG_SHOW_LOCATIONS = "owner"
    removed = api.admin.patch(path, remove, content_type=V2_1)

    assert (refused.status_code, removed.status_code) == (403, 200)
    assert b"do not see all locations" in refused.content


def test_others_do_not_see_where_the_data_is(api: Any, make_image: Any) -> None:
    image = make_image("active", visibility="public")

    shown = api.stranger.get(f"/v2/images/{image.pk}").json()

    assert (shown["locations"], shown["stores"]) == ([], "local")


def test_only_admins_see_where_the_data_of_a_deactivated_image_is(
    api: Any, make_image: Any
) -> None:
    path = f"/v2/images/{make_image('deactivated').pk}"

    shown = api.member.get(path).json()

    assert shown["locations"] == []
    assert "stores" not in shown
    assert len(api.admin.get(path).json()["locations"]) == 1


def test_the_heaviest_store_comes_first_and_each_one_once(
    api: Any, make_image: Any, settings: Any, tmp_path: Any
) -> None:
    settings.IMAGECATALOG_STORES = (
        f"light=file://{tmp_path}/a?weight=1,heavy=file://{tmp_path}/b?weight=9"
    )
    image = make_image("active")
    for store in ("heavy", "light"):
        image.locations.create(store=store, key=f"ab/{image.pk}.{uuid4().hex}")

    shown = api.admin.get(f"/v2/images/{image.pk}").json()

    assert shown["stores"] == "heavy,light"
    assert [one["metadata"]["store"] for one in shown["locations"]] == [
        "light",
        "heavy",
        "light",
    ]


# List


def listed(client: Any, query: str = "") -> dict[str, Any]:
    response = client.get(f"/v2/images{query}")
    assert response.status_code == 200, response.content
    page: dict[str, Any] = response.json()
    return page


def test_an_empty_list(api: Any) -> None:
    assert listed(api.member) == {
        "images": [],
        "first": "/v2/images",
        "schema": "/v2/schemas/images",
    }


def test_a_list_has_images_as_they_are_shown(api: Any, make_image: Any) -> None:
    image = make_image("active", properties={"os": "debian"}, tags=["a"])

    (entry,) = listed(api.member)["images"]

    assert entry == api.member.get(f"/v2/images/{image.pk}").json()


def test_the_newest_image_comes_first(api: Any, make_image: Any) -> None:
    old, new = make_image(), make_image()

    assert [one["id"] for one in listed(api.member)["images"]] == [new.pk, old.pk]


def test_killed_images_are_not_listed(api: Any, make_image: Any) -> None:
    make_image("killed")

    assert listed(api.admin)["images"] == []
    assert listed(api.admin, "?status=killed")["images"] == []


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_deleted_images_are_not_listed(status: str, api: Any, make_image: Any) -> None:
    make_image(status)

    assert listed(api.member, f"?status={status}&deleted=true")["images"] == []
    assert listed(api.admin, "?deleted=true")["images"] == []


@pytest.mark.parametrize("status", ["queued", "saving", "importing", "deactivated"])
def test_images_in_other_statuses_are_listed(
    status: str, api: Any, make_image: Any
) -> None:
    make_image(status)

    assert len(listed(api.reader)["images"]) == 1


def test_hidden_images_are_listed_when_asked_for(api: Any, make_image: Any) -> None:
    hidden, plain = make_image(os_hidden=True), make_image()

    assert [one["id"] for one in listed(api.member)["images"]] == [plain.pk]
    (only,) = listed(api.member, "?os_hidden=TRUE")["images"]
    assert only["id"] == hidden.pk


def test_a_page_has_25_images_unless_another_limit_is_given(
    api: Any, make_image: Any
) -> None:
    for _ in range(26):
        make_image()

    assert len(listed(api.member)["images"]) == 25
    assert len(listed(api.member, "?limit=9999")["images"]) == 26


def test_next_leads_through_all_images(api: Any, make_image: Any) -> None:
    made = [make_image(name="x").pk for _ in range(5)]

    found, page = [], listed(api.member, "?name=x&limit=2")
    assert page["first"] == "/v2/images?name=x&limit=2"
    while True:
        found += [one["id"] for one in page["images"]]
        if "next" not in page:
            break
        assert page["next"].startswith("/v2/images?name=x&limit=2&marker=")
        page = api.member.get(page["next"]).json()

    assert found == made[::-1]


def test_a_full_page_has_a_next_one_even_if_that_is_empty(
    api: Any, make_image: Any
) -> None:
    make_image()

    page = listed(api.member, "?limit=1")

    assert listed(api.member, page["next"].removeprefix("/v2/images"))["images"] == []


def test_a_limit_of_nothing_is_an_empty_page(api: Any, make_image: Any) -> None:
    make_image()

    page = listed(api.member, "?limit=0")

    assert page["images"] == []
    assert "next" not in page


def test_repeated_parameters_stay_in_the_links(api: Any, make_image: Any) -> None:
    make_image(tags=["a", "b"])
    query = "?tag=a&tag=b&sort_key=name&sort_key=size&sort_dir=asc&limit=1"

    page = listed(api.member, query)

    assert page["first"] == f"/v2/images{query}"
    assert page["next"].startswith(f"/v2/images{query}&marker=")


def test_listing_goes_on_behind_an_image_that_was_deleted(
    api: Any, make_image: Any
) -> None:
    older, marker = make_image(), make_image()
    assert api.member.delete(f"/v2/images/{marker.pk}").status_code == 204

    (only,) = listed(api.member, f"?marker={marker.pk}")["images"]

    assert only["id"] == older.pk


def test_a_marker_that_is_unknown_or_not_to_be_seen_is_400_alike(
    api: Any, make_image: Any
) -> None:
    foreign = make_image().pk

    for marker in (foreign, str(uuid4()), "no-id", ""):
        response = api.stranger.get(f"/v2/images?marker={marker}")
        assert response.status_code == 400
        assert "that you can see" in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "sort_key=owner",
        "sort_key=min_ram",
        "sort_dir=up",
        "sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=asc",
        "sort=name&sort_key=size",
        "sort=name&sort_dir=asc",
        "sort=,",
        "sort=name:up",
        "visibility=hidden",
        "member_status=maybe",
        "os_hidden=1",
        "protected=True",
        "name=neq:x",
        'name=in:"a,b',
        "created_at=in:2026-01-01",
        "created_at=yesterday",
        "size_min=x",
        "size=x",
        "changes-since=2026-01-01",
        "properties=x",
        "locations=x",
        f"name={GRIN}",
        "name=%00",
        "&".join(f"p{number}=x" for number in range(1001)),
    ],
)
def test_a_query_that_makes_no_sense_is_400(query: str, api: Any) -> None:
    assert api.member.get(f"/v2/images?{query}").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "name=debian:12",
        "name=eq:debian:12",
        'name=in:"debian:12",other',
        "status=active",
        "status=in:active,queued",
        "disk_format=raw&container_format=bare",
        "created_at=lt:2026-06-01T00:00:00Z",
        "created_at=2026-01-02T03:04:05Z",
        "updated_at=gte:2026-01-01",
        "size_min=4&size_max=4",
        "size=4",
        "min_ram=512&min_ram_min=512",
        "visibility=shared",
        "visibility=all",
        "member_status=pending",
        "owner=project-a",
        "protected=false",
        "os_hidden=False",
        "tag=a&tag=b",
        "os_hash_algo=sha512",
        "os_distro=debian",
        "is_public=yes",
        "deleted=true",
    ],
)
def test_a_filter_finds_what_fits_it(query: str, api: Any, make_image: Any) -> None:
    then = datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)
    wanted = make_image(
        "active",
        data=b"four",
        name="debian:12",
        min_ram=512,
        tags=["a", "b", "c"],
        properties={"os_distro": "debian", "is_public": "yes"},
        created_at=then,
        updated_at=then,
    )

    assert [one["id"] for one in listed(api.member, f"?{query}")["images"]] == [
        wanted.pk
    ]


@pytest.mark.parametrize(
    "query",
    [
        "name=debian",
        "name=in:x,y",
        "status=queued",
        "created_at=gt:2026-06-01",
        "size_min=5",
        "visibility=private",
        "owner=project-b",
        "protected=true",
        "tag=a&tag=x",
        "checksum=0",
        "os_distro=fedora",
        "os_distro=debian&os_distro=fedora",
        "never_set=x",
        "id=not-a-uuid",
    ],
)
def test_a_filter_leaves_out_what_does_not_fit(
    query: str, api: Any, make_image: Any
) -> None:
    then = datetime(2026, 1, 2, tzinfo=UTC)
    make_image(
        "active",
        data=b"four",
        name="debian:12",
        tags=["a"],
        properties={"os_distro": "debian"},
        created_at=then,
    )

    assert listed(api.member, f"?{query}")["images"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("sort=name:asc", "abc"),
        ("sort=name", "cba"),
        ("sort_key=name&sort_dir=asc", "abc"),
        ("sort_dir=asc", "bca"),
        ("sort=disk_format:asc,name:desc", "cab"),
        ("sort_key=disk_format&sort_key=name&sort_dir=desc&sort_dir=asc", "bac"),
    ],
)
def test_images_are_sorted(query: str, names: str, api: Any, make_image: Any) -> None:
    for name, disk_format in (("b", "raw"), ("c", "iso"), ("a", "iso")):
        make_image(name=name, disk_format=disk_format)

    page = listed(api.member, f"?{query}")

    assert [one["name"] for one in page["images"]] == list(names)


def test_listing_ignores_a_body(api: Any) -> None:
    assert api.member.generic("GET", "/v2/images", b"x").status_code == 200


# Delete


@pytest.mark.parametrize("status", LIVE)
def test_an_image_can_be_deleted_in_every_status(
    status: str, api: Any, make_image: Any
) -> None:
    path = f"/v2/images/{make_image(status).pk}"

    response = api.member.delete(path)

    assert (response.status_code, response.content) == (204, b"")
    assert api.member.get(path).status_code == 404
    assert api.member.delete(path).status_code == 404


def test_an_empty_answer_is_labelled_as_it_always_was(
    api: Any, make_image: Any
) -> None:
    response = api.member.delete(f"/v2/images/{make_image().pk}")

    assert response["Content-Type"] == "text/html; charset=UTF-8"
    assert response["Content-Length"] == "0"


@pytest.mark.parametrize("who", ["member", "admin"])
def test_a_protected_image_is_not_deleted(who: str, api: Any, make_image: Any) -> None:
    image = make_image(protected=True)

    response = getattr(api, who).delete(f"/v2/images/{image.pk}")

    assert response.status_code == 403
    assert "protected" in response.content.decode()


def test_deleting_takes_no_body(api: Any, make_image: Any) -> None:
    image = make_image()

    response = api.member.delete(f"/v2/images/{image.pk}", "x")

    assert response.status_code == 400
    assert Image.objects.existing().filter(pk=image.pk).exists()


@pytest.mark.parametrize(
    ("who", "visibility", "code"),
    [
        ("admin", "private", 204),
        ("member", "private", 204),
        ("reader", "private", 403),
        ("stranger", "private", 404),
        ("stranger", "shared", 404),
        ("stranger", "community", 403),
        ("stranger", "public", 403),
    ],
)
def test_who_may_delete(
    who: str, visibility: str, code: int, api: Any, make_image: Any
) -> None:
    image = make_image(visibility=visibility)

    assert getattr(api, who).delete(f"/v2/images/{image.pk}").status_code == code


@pytest.mark.parametrize("value", [b'{"name": "\xff"}', b'{"name": "\\ud800"}'])
def test_json_that_is_not_utf_8_is_refused(value: bytes, api: Any) -> None:
    response = api.member.post("/v2/images", value, content_type="application/json")

    assert response.status_code == 400
