from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from images import access
from images.access import Caller, may, rules
from images.api.v2.patch import V2_1
from images.models import Image, MetadefNamespace

Policy = Callable[[str], None]
IMAGE = {"id": "x", "owner": "project-a", "visibility": "private", "protected": False}


def test_without_a_file_the_defaults_hold(member: Caller, stranger: Caller) -> None:
    assert access.overrides() == {}
    assert may(member, "delete_image", IMAGE)
    assert not may(stranger, "delete_image", IMAGE)


def test_a_rule_is_overridden_and_the_others_stay(
    policy: Policy, member: Caller, admin: Caller, reader: Caller
) -> None:
    policy('"delete_image": "role:admin"')

    assert not may(member, "delete_image", IMAGE)
    assert may(admin, "delete_image", IMAGE)
    assert may(member, "modify_image", IMAGE)
    assert not may(reader, "modify_image", IMAGE)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", True),
        ("@", True),
        ("!", False),
        ("role:member", True),
        ("role:MEMBER", True),
        ("role:admin", False),
        ("not role:admin", True),
        ("role:admin or project_id:%(project_id)s", True),
        ("role:admin or project_id:%(owner)s", True),
        ("role:member and project_id:%(member_id)s", False),
        ("user_id:alice", True),
        ("'private':%(visibility)s", True),
        ("'public':%(visibility)s", False),
        ("is_admin:True", False),
        ("is_admin:False", True),
        ("rule:context_is_admin", False),
        ("rule:modify_image", True),
        ("rule:publicize_image", False),
        ("rule:nothing_of_that_name", False),
        ("rule:ours", True),
        ("(role:admin or role:member) and not project_id:other", True),
    ],
)
def test_the_language_is_that_of_oslo_policy(
    policy: Policy, member: Caller, text: str, allowed: bool
) -> None:
    policy(f'"delete_image": "{text}"\n"ours": "role:member"')

    assert may(member, "delete_image", IMAGE) is allowed


def test_a_rule_for_looking_hides_also_what_is_in_the_image(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    image = make_image("active")
    client: Client = client_of(member)
    assert client.get(f"/v2/images/{image.pk}").status_code == 200

    policy('"get_image": "role:admin"')

    for path in ("", "/file", "/members", "/history"):
        assert client.get(f"/v2/images/{image.pk}{path}").status_code == 404
    assert client.head(f"/v1/images/{image.pk}").status_code == 404


def test_the_rule_for_looking_is_asked_only_when_the_action_is_refused(
    policy: Policy, client_of: Any, admin: Caller, make_image: Any
) -> None:
    others = dict.fromkeys(set(access.RULES) - {"get_image"}, "")
    policy(json.dumps({"get_image": "!"} | others))
    image, queued = make_image("active"), make_image("queued")
    client: Client = client_of(admin)
    path = f"/v2/images/{image.pk}"
    rename = json.dumps([{"op": "replace", "path": "/name", "value": "x"}])
    data = "application/octet-stream"

    codes = [
        client.get(path).status_code,
        client.get(f"{path}/file").status_code,
        client.get(f"/v1/images/{image.pk}").status_code,
        client.put(f"/v2/images/{queued.pk}/file", b"x", data).status_code,
        client.patch(path, rename, V2_1).status_code,
        client.put(f"{path}/tags/x").status_code,
        client.generic("POST", f"{path}/actions/deactivate").status_code,
        client.delete(path).status_code,
    ]

    assert codes == [404, 200, 200, 204, 200, 204, 204, 204]


@pytest.mark.parametrize("path", ["/v2/images?", "/v1/images?", "/v1/images/detail?"])
def test_no_list_shows_what_the_rule_for_looking_hides(
    policy: Policy, client_of: Any, member: Caller, make_image: Any, path: str
) -> None:
    for name in ("secret", "open"):
        make_image("active", name=name, visibility="public")
    policy("""get_image: "role:admin or not 'secret':%(name)s\"""")

    images = client_of(member).get(f"{path}sort_key=name").json()["images"]
    secret = client_of(member).get(f"{path}name=secret").json()["images"]

    assert ([image["name"] for image in images], secret) == (["open"], [])


def test_a_page_without_what_is_hidden_still_leads_to_the_next_one(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    for name in ("a", "secret", "secret", "secret", "z"):
        make_image("active", name=name)
    policy("""get_image: "not 'secret':%(name)s\"""")
    client: Client = client_of(member)

    path, pages = "/v2/images?limit=2&sort=name:asc,created_at:asc", []
    while path:
        page = client.get(path).json()
        pages.append([image["name"] for image in page["images"]])
        path = page.get("next")

    assert pages == [["a"], ["z"], []]


@pytest.mark.slow
def test_any_number_of_hidden_images_may_stand_before_a_shown_one(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    make_image("active", name="shown")
    hidden = {"name": "secret", "owner": member.project}
    Image.objects.bulk_create(Image(**hidden) for _ in range(1100))
    policy("""get_image: "not 'secret':%(name)s\"""")

    (image,) = client_of(member).get("/v2/images?limit=1").json()["images"]

    assert image["name"] == "shown"


def test_no_list_tells_by_its_link_that_a_hidden_image_matches(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    hidden = make_image("active", name="secret")
    policy("""get_image: "not 'secret':%(name)s\"""")
    client: Client = client_of(member)

    assert "next" not in client.get("/v2/images?name=secret&limit=1").json()
    for path in ("/v2/images", "/v1/images"):
        assert client.get(f"{path}?marker={hidden.pk}").status_code == 400


def test_a_list_takes_as_many_queries_with_an_overridden_rule(
    policy: Policy,
    client_of: Any,
    member: Caller,
    make_image: Any,
) -> None:
    for _ in range(5):
        make_image("active")
    client: Client = client_of(member)
    client.get("/v2/images")
    policy("""get_image: "not 'secret':%(name)s\"""")

    with CaptureQueriesContext(connection) as changed:
        client.get("/v2/images")
    rules._overrides.cache_clear()
    with (
        CaptureQueriesContext(connection) as default,
        override_settings(IMAGECATALOG_POLICY_FILE=""),
    ):
        client.get("/v2/images")

    assert len(changed) == len(default)


def test_members_are_hidden_by_their_rule(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    image = make_image("active")
    image.members.create(member="guest")
    policy('"get_member": "!"')
    client: Client = client_of(member)
    path = f"/v2/images/{image.pk}/members"

    shown = client.get(path)
    assert (shown.status_code, shown.json()["members"]) == (200, [])
    assert client.get(f"/v1/images/{image.pk}/members").json() == {"members": []}
    assert client.get(f"{path}/guest").status_code == 404
    assert client.delete(f"{path}/guest").status_code == 403
    assert client.get("/v1/shared-images/guest").json() == {"shared_images": []}


def test_a_project_is_not_told_that_a_hidden_image_is_shared_with_it(
    policy: Policy, client_of: Any, stranger: Caller, make_image: Any
) -> None:
    for name in ("secret", "open"):
        make_image("active", name=name).members.create(member=stranger.project)
    policy("""get_image: "not 'secret':%(name)s\"""")

    answer = client_of(stranger).get(f"/v1/shared-images/{stranger.project}")

    (shown,) = answer.json()["shared_images"]
    assert shown["image_id"] == Image.objects.get(name="open").pk


@pytest.mark.parametrize("change", ["owner", "visibility"])
def test_who_takes_an_image_out_of_its_own_sight_is_told_what_was_done(
    policy: Policy, client_of: Any, member: Caller, make_image: Any, change: str
) -> None:
    policy("""{"change_owner": "", "get_image": "not 'private':%(visibility)s"}""")
    image = make_image("active")
    value = {"owner": "project-b", "visibility": "private"}[change]
    sent = json.dumps([{"op": "replace", "path": f"/{change}", "value": value}])

    answer = client_of(member).patch(f"/v2/images/{image.pk}", sent, V2_1)

    assert (answer.status_code, answer.json()[change]) == (200, value)


def test_who_gives_an_image_away_by_v1_is_told_what_was_done(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    policy('"change_owner": ""')
    image = make_image("active")
    headers = {"x-image-meta-owner": "project-b"}

    answer = client_of(member).put(f"/v1/images/{image.pk}", headers=headers)

    assert (answer.status_code, answer.json()["image"]["owner"]) == (200, "project-b")


def test_a_rule_for_creating_looks_at_all_of_the_new_image(
    policy: Policy, client_of: Any, member: Caller
) -> None:
    policy("""add_image: "'qcow2':%(disk_format)s and 'shared':%(visibility)s\"""")
    client: Client = client_of(member)

    def v1(disk_format: str) -> int:
        sent = {f"x-image-meta-{name}": it for name, it in formats(disk_format).items()}
        return client.generic("POST", "/v1/images", headers=sent).status_code

    def v2(disk_format: str) -> int:
        sent = formats(disk_format)
        return client.post("/v2/images", sent, "application/json").status_code

    assert (v1("qcow2"), v1("raw")) == (201, 403)
    assert (v2("qcow2"), v2("raw")) == (201, 403)


def test_who_may_remove_locations_may_exchange_the_last_one(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    policy('"delete_image_location": "role:member"')
    image, client = make_image("active", data=b"x"), client_of(member)
    added = {"url": "http://127.0.0.1:9/x", "metadata": {}}
    add = {"op": "add", "path": "/locations/-", "value": added}

    for emptied in (
        {"op": "remove", "path": "/locations/0"},
        {"op": "replace", "path": "/locations", "value": []},
    ):
        path, sent = f"/v2/images/{image.pk}", json.dumps([emptied, add])
        answer = client.patch(path, sent, V2_1)
        # It is not forbidden: only the URL is refused.
        assert (answer.status_code, b"Use a public URL" in answer.content) == (
            400,
            True,
        )


def formats(disk_format: str) -> dict[str, str]:
    return {"disk_format": disk_format, "container_format": "bare"}


def test_a_rule_says_who_may_choose_the_store_of_a_download(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    path = f"/v2/images/{make_image('active').pk}/file"
    policy('"download_from_store": "role:admin"')
    client: Client = client_of(member)

    assert client.get(path).status_code == 200
    assert client.get(f"{path}?prefer=local").status_code == 403


def test_a_rule_does_not_show_what_is_invisible(
    policy: Policy, client_of: Any, stranger: Caller, make_image: Any
) -> None:
    image = make_image("active", visibility="private")
    policy('"get_image": ""\n"modify_image": ""\n"delete_image": ""')

    client: Client = client_of(stranger)

    assert client.get(f"/v2/images/{image.pk}").status_code == 404
    assert client.delete(f"/v2/images/{image.pk}").status_code == 404


def test_a_key_s_limit_holds_whatever_the_file_says(
    policy: Policy, member: Caller
) -> None:
    policy('"delete_image": ""')

    assert not may(
        replace(member, actions=frozenset({"get_image"})), "delete_image", IMAGE
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("delete_image: [", "not YAML"),
        ("- delete_image", "must have lines"),
        ("delete_image: 3", "must have lines"),
        ("delete_image: role:member or", "delete_image cannot be parsed"),
        ("delete_image: nonsense", "delete_image cannot be parsed"),
        ("context_is_admin: role:member", "cannot be changed"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(
    policy: Policy, text: str, words: str
) -> None:
    policy(text)

    with pytest.raises(ImproperlyConfigured, match=words):
        access.overrides()


def test_a_file_that_is_not_there_is_refused(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_POLICY_FILE = str(tmp_path / "absent.yaml")

    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        access.overrides()


@pytest.mark.parametrize("missing", ["yaml", "oslo_policy"])
def test_who_lacks_a_package_is_told_how_to_get_it(
    missing: str, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy("add_image: role:reader")
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ImproperlyConfigured, match="requirements.txt"):
        access.overrides()


def test_an_empty_file_changes_nothing(policy: Policy) -> None:
    policy("# nothing yet\n")

    assert access.overrides() == {}


def test_a_name_that_nothing_asks_for_is_reported(
    policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    policy("delet_image: role:admin\nmine: role:member\nadd_image: rule:mine")

    access.overrides()

    assert "there is no rule delet_image" in caplog.text
    assert "mine" not in caplog.text


@pytest.fixture
def namespace(db: None) -> MetadefNamespace:
    """A namespace of the member's project."""
    return MetadefNamespace.objects.create(
        namespace="N", owner="project-a", visibility="public"
    )


NAMESPACES = "/v2/metadefs/namespaces"


def test_one_rule_says_who_changes_metadata_definitions(
    policy: Policy, client_of: Any, member: Caller, stranger: Caller, namespace: Any
) -> None:
    path = f"{NAMESPACES}/N/tags/x"
    client: Client = client_of(member)
    assert client.generic("POST", path).status_code == 403

    policy('"metadef_admin": "role:member"')

    assert client.generic("POST", path).status_code == 201
    assert client_of(stranger).delete(path).status_code == 403


def test_a_rule_of_one_kind_of_definition_is_overridden(
    policy: Policy, client_of: Any, member: Caller, namespace: Any
) -> None:
    policy('"add_metadef_tag": "rule:metadef_default"')
    client: Client = client_of(member)

    assert client.generic("POST", f"{NAMESPACES}/N/tags/x").status_code == 201
    assert client.delete(f"{NAMESPACES}/N/tags/x").status_code == 403


def test_a_rule_that_hides_a_namespace_hides_its_content(
    policy: Policy, client_of: Any, member: Caller, namespace: Any
) -> None:
    MetadefNamespace.objects.create(namespace="Z", owner="project-a")
    policy('"get_metadef_namespace": "\'private\':%(visibility)s"')
    client: Client = client_of(member)

    for path in ("", "/objects", "/properties", "/tags", "/resource_types"):
        assert client.get(f"{NAMESPACES}/N{path}").status_code == 404
        assert client.get(f"{NAMESPACES}/Z{path}").status_code == 200
    page = client.get(f"{NAMESPACES}?limit=1&sort_key=namespace&sort_dir=asc").json()
    assert [it["namespace"] for it in page["namespaces"]] == ["Z"]
    assert client.get(f"{NAMESPACES}?marker=N").status_code == 404
