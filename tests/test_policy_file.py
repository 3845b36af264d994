from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from images import access
from images.access import Caller, may, rules
from images.api.v2.patch import V2_1

Policy = Callable[[str], None]
IMAGE = {"id": "x", "owner": "project-a", "visibility": "private", "protected": False}


@pytest.fixture
def policy(tmp_path: Path, settings: Any) -> Policy:
    """``policy("add_image: role:reader")`` sets a policy file with this text."""

    def write(text: str) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        rules._overrides.cache_clear()
        settings.IMAGECATALOG_POLICY_FILE = str(path)

    yield write
    rules._overrides.cache_clear()


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


def test_a_rule_for_looking_hides_what_it_refuses(
    policy: Policy, client_of: Any, member: Caller, make_image: Any
) -> None:
    image = make_image("active")
    client: Client = client_of(member)
    assert client.get(f"/v2/images/{image.pk}").status_code == 200

    policy('"get_image": "role:admin"')

    for path in ("", "/file", "/members"):
        assert client.get(f"/v2/images/{image.pk}{path}").status_code == 404
    assert client.delete(f"/v2/images/{image.pk}").status_code == 404


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
