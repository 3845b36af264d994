"""Protected properties, at every door: who creates, reads, changes and removes which ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpResponse
from django.test import Client

from images import access, imports, lifecycle, uploads
from images.access import Caller, property_protections
from images.api.v2.patch import V2_1
from images.imports import ImportRequest
from images.models import Event, Image
from tests.copies import work
from tests.rows import current

pytestmark = pytest.mark.django_db

Protect = Callable[..., None]

# Members own what begins with x_own, read x_seen, and do not see x_hidden.
RULES = """
[^x_own]
create = member
read = member
update = member
delete = member
[^x_seen]
create = admin
read = admin, member
update = admin
delete = admin
[^x_hidden]
create = admin
read = admin
update = admin
delete = admin
[^x_kept]
create = @
read = @
update = @
delete = !
"""


@pytest.fixture
def protect(settings: Any, tmp_path: Path) -> Protect:
    """``protect(text)`` makes this the file of protections."""

    def write(text: str, rule_format: str = "roles") -> None:
        path = tmp_path / "protections.conf"
        path.write_text(text)
        property_protections._read.cache_clear()
        property_protections._allows.cache_clear()
        settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE = str(path)
        settings.IMAGECATALOG_PROPERTY_PROTECTION_RULE_FORMAT = rule_format

    return write


def section(name: str, **permissions: str) -> str:
    nobody = dict.fromkeys(("create", "read", "update", "delete"), "")
    lines = [f"{key} = {value}" for key, value in (nobody | permissions).items()]
    return "\n".join([f"[{name}]", *lines, ""])


# The file


def test_without_a_file_nothing_is_protected(reader: Caller) -> None:
    assert access.property_allowed(reader, "delete", "anything")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("x_own_a", True), ("a_x_own", False), ("x_seen", False), ("free", False)],
)
def test_the_pattern_is_searched_in_the_name_and_no_section_is_nobody(
    name: str, allowed: bool, protect: Protect, member: Caller
) -> None:
    protect(RULES)

    assert access.property_allowed(member, "update", name) is allowed


def test_a_pattern_without_anchors_matches_anywhere(
    protect: Protect, member: Caller
) -> None:
    protect(section("licen[cs]e", read="member"))

    assert access.property_allowed(member, "read", "old_license_key")


def test_the_first_section_that_matches_decides(
    protect: Protect, member: Caller
) -> None:
    protect(section("^a", read="admin") + section("^ab", read="member"))

    assert not access.property_allowed(member, "read", "abc")


def test_what_no_section_names_is_forbidden_to_admins_too(
    protect: Protect, admin: Caller
) -> None:
    protect(RULES)

    assert not access.property_allowed(admin, "read", "other")


@pytest.mark.parametrize(
    ("roles", "allowed"),
    [
        ("@", True),
        ("@, admin", True),
        ("!", False),
        ("member, !", False),
        ("", False),
        ("Member", True),
        ("admin,MEMBER", True),
        ("admin", False),
    ],
)
def test_roles_everybody_and_nobody(
    roles: str, allowed: bool, protect: Protect, member: Caller
) -> None:
    protect(section(".*", read=roles))

    assert access.property_allowed(member, "read", "a") is allowed


def test_the_roles_of_the_service_count_and_the_caller_stays_as_it_is(
    protect: Protect, member: Caller
) -> None:
    protect(section("^nova_", read="service"))
    caller = replace(member, service_roles=frozenset({"service"}))

    assert not access.property_allowed(member, "read", "nova_x")
    assert access.property_allowed(caller, "read", "nova_x")
    assert caller.roles == member.roles


@pytest.mark.parametrize(("status", "code"), [("Confirmed", 201), ("Invalid", 403)])
def test_only_a_confirmed_service_token_counts(
    status: str, code: int, protect: Protect, settings: Any
) -> None:
    protect(section("^nova_", create="service", read="@"))
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_URL = "https://keystone.example.org/v3"
    environ = {
        "HTTP_X_IDENTITY_STATUS": "Confirmed",
        "HTTP_X_PROJECT_ID": "p1",
        "HTTP_X_ROLES": "member",
        "HTTP_X_SERVICE_IDENTITY_STATUS": status,
        "HTTP_X_SERVICE_ROLES": "Service",
    }

    made = Client(**environ).post("/v2/images", {"nova_x": "1"}, "application/json")

    assert made.status_code == code


@pytest.mark.parametrize("name", ["os_glance_failed_import", "os_glance"])
def test_properties_of_the_service_are_read_whatever_the_file_says(
    name: str, protect: Protect, member: Caller
) -> None:
    protect(section("os_glance.*") + section(".*"))

    assert access.property_allowed(member, "read", name)
    assert not access.property_allowed(member, "read", f"x_{name}")


@pytest.mark.parametrize("interface", ["command", "worker"])
def test_the_operator_s_own_programs_are_not_restricted(
    interface: str, protect: Protect
) -> None:
    protect(section(".*"))

    assert access.property_allowed(access.operator(interface), "update", "a")


@pytest.mark.parametrize(
    ("text", "rule_format", "why"),
    [
        ("[a]\ncreate = @\n", "roles", r"read of \[a\] is missing"),
        (section("("), "roles", r"\[\(\] is not a regular expression"),
        (section("a", read="@, !"), "roles", "both @"),
        (section("a") * 2, "roles", "already exists"),
        ("create = @", "roles", "no section headers"),
        (section("a", read="get_image, get_images"), "policies", "one policy"),
        (section("a", read="no_such"), "policies", "there is no policy no_such"),
    ],
)
def test_a_malformed_file_is_an_error_at_the_start(
    text: str, rule_format: str, why: str, protect: Protect
) -> None:
    protect(text, rule_format)

    with pytest.raises(SystemCheckError, match=why):
        call_command("check")


def test_a_file_that_cannot_be_read_is_an_error_at_the_start(settings: Any) -> None:
    settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE = "/nowhere/protections.conf"

    with pytest.raises(SystemCheckError, match="/nowhere/protections.conf: it cannot"):
        call_command("check")


def test_a_file_that_is_not_text_is_refused(protect: Protect, tmp_path: Path) -> None:
    protect(RULES)
    (tmp_path / "protections.conf").write_bytes(b"[\xff]")

    with pytest.raises(ImproperlyConfigured, match="UTF-8"):
        access.protections()


# Policies


@pytest.mark.parametrize(
    ("named", "admins", "members"),
    [
        ("context_is_admin", True, False),
        ("default", True, True),
        ("publicize_image", True, False),
        ("get_images", True, True),
        ("builders", False, True),
        ("@", True, True),
        ("!", False, False),
        ("", False, False),
    ],
)
def test_a_policy_decides(
    named: str,
    admins: bool,
    members: bool,
    protect: Protect,
    policy: Callable[[str], None],
    admin: Caller,
    member: Caller,
) -> None:
    policy('"builders": "role:member and not role:admin"')
    protect(section("^x_", update=named), "policies")

    assert access.property_allowed(admin, "update", "x_a") is admins
    assert access.property_allowed(member, "update", "x_a") is members


# API v2


@pytest.fixture
def image(make_image: Any, protect: Protect) -> Image:
    protect(RULES)
    image: Image = make_image(
        "active",
        properties={"x_own": "1", "x_seen": "2", "x_hidden": "3", "x_kept": "4"},
    )
    return image


@pytest.fixture
def as_member(client_of: Any, member: Caller) -> Client:
    client: Client = client_of(member)
    return client


def post(client: Client, **document: Any) -> HttpResponse:
    return client.post("/v2/images", document, content_type="application/json")


def patch(client: Client, image: Image, *operations: Any) -> HttpResponse:
    path = f"/v2/images/{image.pk}"
    return client.patch(path, json.dumps(operations), content_type=V2_1)


def operation(op: str, name: str, value: str = "new") -> dict[str, str]:
    return {"op": op, "path": f"/{name}", "value": value}


def custom(document: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in document.items() if name.startswith("x_")}


def test_unreadable_properties_are_left_out_of_an_image(
    image: Image, as_member: Client, client_of: Any, admin: Caller
) -> None:
    path = f"/v2/images/{image.pk}"

    assert custom(as_member.get(path).json()) == {
        "x_own": "1",
        "x_seen": "2",
        "x_kept": "4",
    }
    assert "x_hidden" in client_of(admin).get(path).json()


def test_unreadable_properties_are_left_out_of_lists(
    image: Image, as_member: Client
) -> None:
    (shown,) = as_member.get("/v2/images").json()["images"]

    assert "x_hidden" not in shown
    assert "x_seen" in shown


@pytest.mark.parametrize(
    ("name", "code"), [("x_own", 201), ("x_seen", 403), ("x_hidden", 403), ("y", 403)]
)
def test_creating_needs_the_right_to_create(
    name: str, code: int, protect: Protect, as_member: Client
) -> None:
    protect(RULES)

    made = post(as_member, name="a", **{name: "1"})

    assert made.status_code == code
    if code == 403:
        assert f"Property '{name}' is reserved." in unescape(made.content.decode())
        assert not Image.objects.exists()


@pytest.mark.parametrize(
    ("op", "name", "code"),
    [
        ("replace", "x_own", 200),
        ("add", "x_own", 200),
        ("replace", "x_seen", 403),
        ("add", "x_seen", 403),
        ("add", "x_seen_new", 403),
        ("replace", "x_kept", 200),
        ("add", "x_own_new", 200),
        ("remove", "x_own", 200),
        ("remove", "x_seen", 403),
        ("remove", "x_kept", 403),
        ("add", "y", 403),
    ],
)
def test_changes_need_their_rights(
    op: str, name: str, code: int, image: Image, as_member: Client
) -> None:
    before = current(image).properties

    response = patch(as_member, image, operation(op, name))

    assert response.status_code == code
    assert (current(image).properties != before) == (code == 200)


def test_writing_the_value_that_is_there_needs_the_right_to_update(
    image: Image, as_member: Client
) -> None:
    assert patch(as_member, image, operation("add", "x_seen", "2")).status_code == 403


@pytest.mark.parametrize("op", ["replace", "remove"])
def test_an_unreadable_property_does_not_exist_for_a_patch(
    op: str, image: Image, as_member: Client
) -> None:
    response = patch(as_member, image, operation(op, "x_hidden"))

    assert response.status_code == 409
    assert "x_hidden does not exist" in response.content.decode()


def test_an_unreadable_property_is_not_overwritten(
    image: Image, as_member: Client, protect: Protect
) -> None:
    protect(section("^x_hidden", create="member", update="member", delete="member"))

    assert patch(as_member, image, operation("add", "x_hidden")).status_code == 403
    assert patch(as_member, image, operation("add", "x_hidden_new")).status_code == 200
    assert current(image).properties["x_hidden"] == "3"


def test_a_patch_without_rights_changes_nothing_at_all(
    image: Image, as_member: Client
) -> None:
    operations = operation("replace", "name"), operation("replace", "x_seen")

    assert patch(as_member, image, *operations).status_code == 403
    assert current(image).name == image.name


def test_a_patch_leaves_unreadable_properties_as_they_are(
    image: Image, as_member: Client
) -> None:
    shown = patch(as_member, image, operation("replace", "x_own")).json()

    assert "x_hidden" not in shown
    assert current(image).properties["x_hidden"] == "3"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("x_own=1", 200),
        ("x_seen=2", 200),
        ("x_hidden=3", 403),
        ("x_own=1&x_hidden=3", 403),
        ("y=1", 403),
        ("name=a", 200),
        ("sort_key=x_seen", 400),
        ("sort=x_hidden:asc", 400),
    ],
)
def test_lists_are_not_filtered_by_unreadable_properties_nor_sorted_by_any(
    query: str, code: int, image: Image, as_member: Client
) -> None:
    assert as_member.get(f"/v2/images?{query}").status_code == code


def test_the_history_leaves_unreadable_properties_out(
    image: Image, as_member: Client, admin: Caller, client_of: Any
) -> None:
    operations = operation("replace", "x_hidden"), operation("replace", "x_seen")
    patch(client_of(admin), image, *operations, operation("replace", "name"))
    path = f"/v2/images/{image.pk}/history"

    def detail(client: Client) -> Any:
        return client.get(path).json()["history"][-1]["detail"]

    assert detail(as_member) == {"x_seen": ["2", "new"], "name": [None, "new"]}
    assert detail(client_of(admin))["x_hidden"] == ["3", "new"]


def test_the_input_of_a_task_leaves_unreadable_properties_out(
    protect: Protect, client_of: Any, admin: Caller, member: Caller, settings: Any
) -> None:
    protect(RULES.replace("[^x_own]", section("^x_new", create="@") + "[^x_own]"))
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ("192.0.2.1",)
    given = {
        "import_from": "http://192.0.2.1/disk.raw",
        "import_from_format": "raw",
        "image_properties": {"name": "a", "x_new": "1", "x_seen": "2"},
    }
    client: Client = client_of(admin)
    document = {"type": "import", "input": given}
    made = client.post("/v2/tasks", document, content_type="application/json")

    assert made.status_code == 201
    shown = made.json()["input"]["image_properties"]
    assert shown == {"name": "a", "x_seen": "2"}


def test_properties_that_the_operator_injects_are_not_restricted(
    protect: Protect, member: Caller, settings: Any
) -> None:
    protect(RULES)
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("inject_image_metadata",)
    settings.IMAGECATALOG_INJECTED_PROPERTIES = ("x_hidden:import",)
    fields = {"disk_format": "raw", "container_format": "bare", "owner": member.project}
    image = lifecycle.create(fields, {}, [], member)
    uploads.stage(image.pk, [b"data"], member)

    imports.request_import(image.pk, ImportRequest("glance-direct"), member)
    work()

    assert current(image).properties == {"x_hidden": "import"}


# API v1


def v1_headers(**properties: str) -> dict[str, str]:
    return {f"x-image-meta-property-{name}": it for name, it in properties.items()}


def put(client: Client, image: Image, purge: bool, **properties: str) -> HttpResponse:
    control = {"x-glance-registry-purge-props": str(purge)}
    headers = v1_headers(**properties) | control
    return client.put(f"/v1/images/{image.pk}", headers=headers)


def test_v1_leaves_unreadable_properties_out_of_headers_and_lists(
    image: Image, as_member: Client
) -> None:
    path = f"/v1/images/{image.pk}"
    (listed,) = as_member.get("/v1/images/detail").json()["images"]

    for response in (as_member.head(path), as_member.get(path)):
        assert "x-image-meta-property-x_hidden" not in response
        assert response["x-image-meta-property-x_seen"] == "2"
    assert listed["properties"] == {"x_own": "1", "x_seen": "2", "x_kept": "4"}


@pytest.mark.parametrize(("name", "code"), [("x_own", 201), ("x_seen", 403)])
def test_v1_creates_with_the_right_to_create(
    name: str, code: int, protect: Protect, as_member: Client
) -> None:
    protect(RULES)

    made = as_member.generic("POST", "/v1/images", headers=v1_headers(**{name: "1"}))

    assert made.status_code == code
    if code == 403:
        assert f"Property '{name}' is protected." in unescape(made.content.decode())


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"x_own": "new"}, 200),
        ({"x_seen": "new"}, 403),
        ({"x_seen": "2"}, 200),
        ({"x_hidden": "3"}, 403),
        ({"x_hidden": "new"}, 403),
        ({"x_new": "1"}, 403),
    ],
)
def test_v1_changes_with_the_right_to_update(
    properties: dict[str, str], code: int, image: Image, as_member: Client
) -> None:
    response = put(as_member, image, False, **properties)

    assert response.status_code == code
    if code == 403:
        assert "is protected" in response.content.decode()


def test_v1_keeps_unreadable_properties_also_when_it_replaces_all(
    image: Image, as_member: Client
) -> None:
    response = put(as_member, image, True, x_seen="2", x_kept="4")

    assert response.status_code == 200
    assert current(image).properties == {
        "x_seen": "2",
        "x_hidden": "3",
        "x_kept": "4",
    }


@pytest.mark.parametrize("kept", ["x_seen", "x_kept"])
def test_v1_removes_with_the_right_to_delete(
    kept: str, image: Image, as_member: Client
) -> None:
    sent = {"x_seen": "2", "x_kept": "4"}
    del sent[kept]

    assert put(as_member, image, True, **sent).status_code == 403
    assert kept in current(image).properties


@pytest.mark.parametrize(("name", "code"), [("x_seen", 200), ("x_hidden", 403)])
def test_v1_does_not_filter_by_unreadable_properties(
    name: str, code: int, image: Image, as_member: Client
) -> None:
    assert as_member.get(f"/v1/images?property-{name}=1").status_code == code


def test_v1_changes_nothing_when_data_comes_with_a_protected_property(
    make_image: Any, protect: Protect, as_member: Client
) -> None:
    protect(RULES)
    image = make_image()

    response = as_member.put(
        f"/v1/images/{image.pk}",
        b"data",
        content_type="application/octet-stream",
        headers=v1_headers(x_seen="1"),
    )

    assert response.status_code == 403
    assert current(image).status == "queued"


# The browser admin, whose users have the role admin


def test_the_admin_shows_and_filters_only_what_admins_can_read(
    make_image: Any, protect: Protect, admin_client: Client
) -> None:
    protect(RULES)
    image = make_image("active", properties={"x_seen": "shown", "y": "secret-value"})
    Event.objects.create(
        image=image,
        verb="update",
        from_status="active",
        to_status="active",
        detail={"y": [None, "secret-value"]},
    )

    tabs = ("change", "properties", "history", "edit")
    pages = [admin_client.get(f"/admin/images/image/{image.pk}/{tab}/") for tab in tabs]
    page = "".join(it.content.decode() for it in pages)
    listed = admin_client.get("/admin/images/image/?property=y%3Dsecret-value")

    assert "shown" in page
    assert "secret-value" not in page
    assert "cannot be filtered by the property" in listed.content.decode()
    assert str(image.pk) not in listed.content.decode()
