from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity import tokens
from imagecatalog.identity.models import (
    ApplicationCredential,
    Project,
    RoleAssignment,
    SignInEvent,
)

Run = Callable[..., str]


@pytest.fixture
def run(db: None) -> Run:
    """``run("user_list")``: what the command prints."""

    def run(*words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def alice(db: None) -> User:
    user = User.objects.create_user("alice", password="a good password")
    for name, role in (("lab", "member"), ("archive", "reader")):
        project = Project.objects.create(id=f"id-of-{name}", name=name)
        RoleAssignment.objects.create(user=user, project=project, role=role)
    return user


def code(key: str) -> int:
    return Client().get("/v2/images", headers={"X-Auth-Token": key}).status_code


def test_a_credential_is_made_listed_and_ended(run: Run, alice: User) -> None:
    made = run("credential_create", "alice", "robot", "--expires", "90d").split()
    credential_id, key = made[1], made[5]
    assert code(key) == 200

    assert credential_id in run("credential_list", "alice")
    assert "member of alice in lab, all actions" in run("credential_list")
    assert run("credential_delete", credential_id) == f"{credential_id}: deleted\n"
    assert code(key) == 401
    assert SignInEvent.objects.filter(source="console").count() == 2


def test_a_credential_is_limited(run: Run, alice: User) -> None:
    words = ["--project", "archive", "--role", "reader", "--action", "get_image"]
    run("credential_create", "alice", "robot", *words)

    row = ApplicationCredential.objects.get()
    assert (row.project_id, row.role) == ("id-of-archive", "reader")
    assert row.actions == ["get_image"]


@pytest.fixture
def superuser(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name in the variables that `createsuperuser` reads; the password is another one."""
    for name, value in (("USERNAME", "root"), ("PASSWORD", "a good password")):
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "root@example.org")
    return "root"


def test_a_superuser_of_a_command_can_use_the_apis(run: Run, superuser: str) -> None:
    run("createsuperuser", "--noinput")

    user = User.objects.get(username=superuser)
    assert user.is_superuser
    assert [str(it) for it in user.assignments.all()] == ["root is admin of admin"]
    basic = b64encode(b"root:a good password").decode()
    headers = {"Authorization": f"Basic {basic}"}
    assert Client().get("/v2/images", headers=headers).status_code == 200
    assert SignInEvent.objects.get(verb="role_give").source == "console"


def test_a_superuser_can_be_admin_of_another_project(run: Run, superuser: str) -> None:
    run("createsuperuser", "--noinput", "--project", "ops")
    User.objects.create_user("bob")  # the command is over

    assert [str(it) for it in RoleAssignment.objects.all()] == ["root is admin of ops"]


def test_a_superuser_gets_no_password_that_can_be_guessed(
    run: Run, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a")

    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD: .*too short"):
        run("createsuperuser", "--noinput")
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["credential_create", "bob", "x"], "no user bob"),
        (["credential_create", "alice", "x", "--project", "y"], "no role in a project"),
        (["credential_create", "alice", "x", "--role", "admin"], "does not have the"),
        (["credential_create", "alice", "x", "--action", "fly"], "no action fly"),
        (["credential_create", "alice", "x", "--expires", "soon"], "is not a duration"),
        (
            ["credential_create", "alice", "x", "--expires", "999999w"],
            "is not a duration",
        ),
        (["credential_delete", "absent"], "no credential absent"),
        (["token_revoke", "bob"], "no user bob"),
        (["role_remove", "alice", "--project", "x"], "no role in a project x"),
        (["clouds_yaml", "bob"], "no user bob"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, alice: User, words: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run(*words)


def test_who_ends_tokens_is_told_what_else_there_is_to_end(
    run: Run, alice: User
) -> None:
    assert run("token_revoke", "alice") == "All tokens of alice are revoked.\n"
    _, credential_id, *_, key = run("credential_create", "alice", "robot").split()[:6]

    said = run("token_revoke", "alice")

    assert code(key) == 200
    assert f"application credential robot is still valid: {credential_id}" in said
    assert "credential_delete" in said


def test_the_help_names_every_unit_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("credential_create", "--help")

    assert "'12h' or '90d' (units: s, m, h, d, w)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_all_tokens_of_a_user_are_ended(run: Run, alice: User) -> None:
    issued = tokens.issue(alice.pk, "id-of-lab", ["password"])
    assert issued is not None
    assert code(issued[0]) == 200

    run("token_revoke", "alice")

    assert code(issued[0]) == 401


def test_a_role_is_taken(run: Run, alice: User) -> None:
    run("role_remove", "alice", "--project", "lab")

    assert run("user_list") == "alice: reader of archive (id-of-archive)\n"


def test_a_role_that_is_given_again_brings_no_credential_back(
    run: Run, alice: User
) -> None:
    key = run("credential_create", "alice", "robot", "--project", "lab").split()[5]
    run("role_remove", "alice", "--project", "lab")

    run("user_create", "alice", "--project", "lab")

    assert code(key) == 401
    assert not ApplicationCredential.objects.exists()
    assert SignInEvent.objects.filter(verb="application_credential_delete").exists()


@pytest.mark.parametrize("words", [["--expires", "90d"], ["--role", "reader"]])
def test_what_is_for_a_credential_needs_one(
    run: Run, alice: User, words: list[str]
) -> None:
    with pytest.raises(CommandError, match="--credential NAME"):
        run("clouds_yaml", "alice", *words)


@pytest.mark.parametrize("url", ["http://h:1/v2", "http://h:1/v2/", "http://h:1/"])
def test_clouds_yaml_takes_the_url_as_clients_know_it(
    run: Run, alice: User, url: str
) -> None:
    printed = run("clouds_yaml", "alice", "--url", url, "--only", "curl")

    assert "http://h:1/v2/images" in printed


def test_clouds_yaml_refuses_what_is_no_url(run: Run, alice: User) -> None:
    with pytest.raises(CommandError, match="http://"):
        run("clouds_yaml", "alice", "--url", "foo")


def test_clouds_yaml_is_yaml_for_each_way_to_sign_in(run: Run, alice: User) -> None:
    words = ["clouds_yaml", "alice", "--url", "https://images.example.org/"]
    only = ["--only", "clouds.yaml"]

    by_password = yaml.safe_load(run(*words, *only))["clouds"]["imagecatalog"]
    by_key = yaml.safe_load(run(*words, "--credential", "robot", *only))

    assert by_password["auth_type"] == "v3password"
    assert by_password["auth"]["auth_url"] == "https://images.example.org/identity/v3"
    assert by_password["auth"]["project_name"] == "lab"
    row = ApplicationCredential.objects.get()
    auth = by_key["clouds"]["imagecatalog"]["auth"]
    assert auth["application_credential_id"] == row.pk
    assert code(f"{row.pk}.{auth['application_credential_secret']}") == 200


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("keystone", {"auth_type": "v3password"}),
        ("none", {"auth_type": "none"}),
    ],
)
def test_clouds_yaml_fits_the_mode(
    run: Run, settings: Any, mode: str, expected: dict[str, str]
) -> None:
    settings.IMAGECATALOG_AUTH = mode
    settings.IMAGECATALOG_KEYSTONE_URL = "https://keystone.example.org/v3"

    text = run("clouds_yaml", "somebody", "--only", "clouds.yaml")

    cloud = yaml.safe_load(text)["clouds"]["imagecatalog"]
    assert expected.items() <= cloud.items()


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        ("keystone", "openstack application credential create"),
        ("none", "IMAGECATALOG_AUTH=embedded"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ["clouds_yaml", "alice", "--credential", "robot"],
        ["clouds_yaml", "somebody", "--credential", "robot"],
        ["credential_create", "alice", "robot"],
        ["credential_create", "somebody", "robot"],
    ],
)
def test_no_credential_is_made_where_none_is_asked_for(
    run: Run, alice: User, settings: Any, mode: str, advice: str, words: list[str]
) -> None:
    settings.IMAGECATALOG_AUTH = mode

    with pytest.raises(CommandError, match=advice):
        run(*words)
    assert not ApplicationCredential.objects.exists()


def test_all_texts_are_printed(run: Run, alice: User) -> None:
    text = run("clouds_yaml", "alice")

    for words in (
        "# clouds.yaml",
        "export OS_AUTH_URL=http://127.0.0.1:9292/identity/v3",
        'provider "openstack" {',
        "curl -u alice http://127.0.0.1:9292/v2/images",
    ):
        assert words in text


def test_a_user_that_exists_keeps_role_and_password_unless_told(
    run: Run, alice: User, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_PASSWORD = "quite another password"

    said = run("user_create", "alice", "--project", "archive")

    assert "alice already exists and keeps its password" in said
    assert "alice already is reader of project archive (id id-of-archive)." in said
    alice.refresh_from_db()
    assert alice.check_password("a good password")
    assert alice.assignments.get(project="id-of-archive").role == "reader"


def test_the_role_is_looked_up_once(run: Run, alice: User) -> None:
    with CaptureQueriesContext(connection) as queries:
        run("user_create", "alice", "--project", "lab", "--role", "reader")

    table = f'FROM "{RoleAssignment._meta.db_table}"'
    assert len([it for it in queries if table in it["sql"]]) == 1


def test_a_role_that_stays_leaves_no_record(run: Run, alice: User) -> None:
    run("user_create", "alice", "--project", "lab", "--role", "member")

    assert not SignInEvent.objects.exists()


def test_another_role_takes_the_place_of_the_one_before(run: Run, alice: User) -> None:
    said = run("user_create", "alice", "--project", "lab", "--role", "reader")

    assert (
        said == "alice is reader of project lab (id id-of-lab), and no longer member.\n"
    )
    assert alice.assignments.get(project="id-of-lab").role == "reader"
    assert SignInEvent.objects.get().verb == "role_give"


# Users


def can_sign_in(name: str, password: str) -> bool:
    encoded = b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {encoded}"}
    return Client().get("/v2/images", headers=headers).status_code == 200


def test_a_disabled_user_is_refused_until_it_is_enabled(run: Run, alice: User) -> None:
    key = run("credential_create", "alice", "robot").split()[5]
    assert run("user_disable", "alice") == "alice is disabled.\n"

    assert run("user_disable", "alice") == "alice already was disabled.\n"
    assert "alice (disabled)" in run("user_list")
    assert (can_sign_in("alice", "a good password"), code(key)) == (False, 401)

    assert run("user_enable", "alice") == "alice is enabled.\n"
    assert (can_sign_in("alice", "a good password"), code(key)) == (True, 200)
    verbs = SignInEvent.objects.filter(source="console").values_list("verb", flat=True)
    assert list(verbs.order_by("id"))[-2:] == ["user_disable", "user_enable"]


def test_a_deleted_user_is_gone_with_its_credentials_and_leaves_a_record(
    run: Run, alice: User
) -> None:
    key = run("credential_create", "alice", "robot").split()[5]

    assert run("user_delete", "alice", "--yes") == "alice is deleted.\n"

    assert not User.objects.filter(username="alice").exists()
    assert code(key) == 401
    verbs = set(SignInEvent.objects.values_list("verb", flat=True))
    assert {"user_delete", "application_credential_delete"} <= verbs


def test_a_new_password_is_generated_and_printed(run: Run, alice: User) -> None:
    password = (
        run("password_reset", "alice").removeprefix("Password of alice: ").strip()
    )

    assert can_sign_in("alice", password)
    assert not can_sign_in("alice", "a good password")
    assert SignInEvent.objects.filter(verb="password_reset", user="alice").exists()


def test_a_new_password_ends_the_tokens_of_its_user(run: Run, alice: User) -> None:
    token, _ = tokens.issue(alice.pk, "id-of-lab", ["password"]) or ("", None)
    assert code(token) == 200

    run("password_reset", "alice")

    assert code(token) == 401


def test_a_chosen_password_is_not_printed(run: Run, alice: User, settings: Any) -> None:
    settings.IMAGECATALOG_USER_PASSWORD = "another good password"

    assert "another good password" not in run("password_reset", "alice")
    assert can_sign_in("alice", "another good password")


def test_a_chosen_password_that_is_easy_to_guess_changes_nothing(
    run: Run, alice: User, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_PASSWORD = "12345678"

    with pytest.raises(CommandError, match="too common"):
        run("password_reset", "alice")
    assert can_sign_in("alice", "a good password")


@pytest.mark.parametrize(
    "command", ["user_disable", "user_enable", "user_delete", "password_reset"]
)
def test_a_command_names_a_user_that_does_not_exist(run: Run, command: str) -> None:
    with pytest.raises(CommandError, match="no user bob"):
        run(command, "bob")
