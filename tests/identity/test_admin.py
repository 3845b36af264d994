from __future__ import annotations

import re
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from imagecatalog.identity.models import (
    ApplicationCredential,
    RoleAssignment,
    SignInEvent,
)
from tests.identity.conftest import Identity

CREDENTIALS = "/admin/identity/applicationcredential/"


@pytest.fixture
def browser(db: None) -> Client:
    """A browser in which a superuser is signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x" * 12))
    return client


@pytest.fixture
def form(alice: User) -> dict[str, Any]:
    """The values of the form that creates a credential for alice."""
    return {
        "user": "alice",
        "project": "lab",
        "name": "robot",
        "description": "",
        "role": "member",
        "actions": ["get_image"],
        "expires_at": "",
    }


@pytest.mark.parametrize(
    "page",
    [
        "identity/project/",
        "identity/project/id-of-lab/change/",
        "identity/project/add/",
        "identity/applicationcredential/",
        "identity/applicationcredential/add/",
        "identity/signinevent/",
        "auth/user/",
        "auth/user/add/",
    ],
)
def test_the_pages_are_there(browser: Client, alice: User, page: str) -> None:
    assert browser.get(f"/admin/{page}").status_code == 200


def test_a_credential_is_made_and_its_key_told_once(
    browser: Client, form: dict[str, Any]
) -> None:
    answer = browser.post(f"{CREDENTIALS}add/", form)

    row = ApplicationCredential.objects.get()
    key = re.search(rf"{row.pk}\.[\w-]+", answer.content.decode())
    assert key is not None
    assert row.actions == ["get_image"]
    for words in ("auth_type: v3applicationcredential", "provider &quot;openstack"):
        assert words in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    headers = {"X-Auth-Token": key[0]}
    assert Client().get("/v2/images", headers=headers).status_code == 403
    assert Client().get("/v2/schemas/image", headers=headers).status_code == 200
    assert key[0] not in browser.get(f"{CREDENTIALS}{row.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"role": "admin"}, "does not have the role"),
        ({"name": ""}, "required"),
        ({"user": "nobody"}, "There is no user “nobody”."),
        ({"project": "no-such"}, "There is no project “no-such”."),
        ({"actions": ["fly"]}, "Select a valid choice"),
        ({"expires_at": "2020-01-01 00:00"}, "in the future"),
    ],
)
def test_what_cannot_be_is_said_in_the_form(
    browser: Client, form: dict[str, Any], wrong: dict[str, Any], words: str
) -> None:
    answer = browser.post(f"{CREDENTIALS}add/", form | wrong)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not ApplicationCredential.objects.exists()


def test_a_name_that_is_taken_is_said_in_the_form(
    browser: Client, form: dict[str, Any]
) -> None:
    browser.post(f"{CREDENTIALS}add/", form)

    answer = browser.post(f"{CREDENTIALS}add/", form)

    assert answer.status_code == 200
    assert ApplicationCredential.objects.count() == 1


def test_ending_one_is_on_record(browser: Client, form: dict[str, Any]) -> None:
    browser.post(f"{CREDENTIALS}add/", form)
    row = ApplicationCredential.objects.get()

    browser.post(f"{CREDENTIALS}{row.pk}/delete/", {"post": "yes"})

    assert not ApplicationCredential.objects.exists()
    verbs = [event.verb for event in SignInEvent.objects.order_by("id")]
    assert verbs[-2:] == [
        "application_credential_create",
        "application_credential_delete",
    ]


@pytest.mark.parametrize("many", [False, True])
def test_the_deletion_of_a_user_and_its_credentials_is_on_record(
    many: bool, browser: Client, form: dict[str, Any], alice: User
) -> None:
    browser.post(f"{CREDENTIALS}add/", form)
    users = "/admin/auth/user/"

    if many:
        chosen = {"action": "delete_selected", "_selected_action": [alice.pk]}
        browser.post(users, {**chosen, "post": "yes"})
    else:
        browser.post(f"{users}{alice.pk}/delete/", {"post": "yes"})

    assert not User.objects.filter(pk=alice.pk).exists()
    verbs = [event.verb for event in SignInEvent.objects.order_by("id")]
    assert verbs[-2:] == ["application_credential_delete", "user_delete"]


@pytest.mark.parametrize(
    ("change", "recorded"),
    [
        ({"role": "reader"}, ("role_give", {"project": "id-of-lab", "role": "reader"})),
        ({"DELETE": "on"}, ("role_remove", {"project": "id-of-lab"})),
    ],
)
def test_a_change_of_a_role_is_on_record(
    browser: Client,
    alice: User,
    change: dict[str, str],
    recorded: tuple[str, dict[str, str]],
) -> None:
    row = RoleAssignment.objects.get(user=alice, project="id-of-lab")
    role = {"id": row.pk, "user": alice.pk, "project": "id-of-lab", "role": row.role}
    form = {"name": "lab", "assignments-TOTAL_FORMS": 1, "assignments-INITIAL_FORMS": 1}
    form |= {f"assignments-0-{name}": value for name, value in (role | change).items()}

    answer = browser.post("/admin/identity/project/id-of-lab/change/", form)

    event = SignInEvent.objects.latest("id")
    assert answer.status_code == 302
    assert (event.verb, event.detail) == recorded
    assert (event.user, event.source) == ("alice", "127.0.0.1")


def test_a_sign_in_to_the_api_is_a_users_last_sign_in(
    browser: Client, identity: Identity, alice: User
) -> None:
    before = browser.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
    identity.sign_in("alice", project="lab")

    after = browser.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
    assert "never" in before
    assert "never" not in after


def test_nobody_changes_the_record(browser: Client, db: None) -> None:
    event = SignInEvent.objects.create(verb="refused", user="alice")
    path = f"/admin/identity/signinevent/{event.pk}"

    assert browser.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert browser.post(f"{path}/change/", {"user": "x"}).status_code == 403


# What a user's clients need


def clients(user: User) -> str:
    return f"/admin/auth/user/{user.pk}/clients/"


@pytest.fixture
def staff(alice: User) -> Client:
    """A browser in which alice is signed in: staff, but without any permission in the admin."""
    alice.is_staff = True
    alice.save()
    client = Client()
    client.force_login(alice)
    return client


def test_the_page_shows_what_the_command_prints(browser: Client, alice: User) -> None:
    answer = browser.get(clients(alice), headers={"Host": "images.example.org"})

    shown = unescape(answer.content.decode())
    words = ["clouds_yaml", "alice", "--url", "http://images.example.org"]
    out = StringIO()
    call_command(*words, stdout=out)
    texts = [text.strip() for text in re.split("# .*\n", out.getvalue())[1:]]
    assert len(texts) == 4
    assert all(text in shown for text in texts)
    assert shown.count("data-copy=") == 4
    assert "Replace PASSWORD" in shown


def test_of_several_projects_one_is_chosen(browser: Client, alice: User) -> None:
    first = browser.get(clients(alice)).content.decode()
    other = browser.get(clients(alice), {"project": "archive"}).content.decode()

    assert "export OS_PROJECT_NAME=lab" in first
    assert "?project=archive" in first
    assert "export OS_PROJECT_NAME=archive" in other


def test_the_page_leads_to_a_credential_for_that_user_and_project(
    browser: Client, alice: User
) -> None:
    page = unescape(
        browser.get(clients(alice), {"project": "archive"}).content.decode()
    )
    (form,) = re.findall('href="([^"]*/applicationcredential/add/[?][^"]*)"', page)

    initial = browser.get(form).context["adminform"].form.initial

    assert initial == {"user": "alice", "project": "archive"}


def test_who_has_no_project_is_told_so(browser: Client) -> None:
    user = User.objects.create_user("nobody")

    shown = browser.get(clients(user)).content.decode()

    assert "has no role in any project" in shown
    assert "OS_PASSWORD" not in shown


@pytest.mark.parametrize(
    ("mode", "words", "sentence"),
    [
        ("keystone", "OS_AUTH_URL=https://keystone.example.org/v3", "Keystone manages"),
        ("none", "OS_AUTH_TYPE=none", "No sign-in is required"),
    ],
)
def test_the_page_fits_the_mode(
    browser: Client, settings: Any, mode: str, words: str, sentence: str
) -> None:
    settings.IMAGECATALOG_AUTH = mode
    settings.IMAGECATALOG_KEYSTONE_URL = "https://keystone.example.org/v3"

    shown = unescape(browser.get(clients(User.objects.get())).content.decode())

    assert words in shown
    assert sentence in shown


def test_everybody_sees_the_own_page_and_finds_it(staff: Client, alice: User) -> None:
    assert clients(alice) in staff.get("/admin/").content.decode()
    assert staff.get(clients(alice)).status_code == 200


def test_that_of_others_is_for_who_may_see_users(
    staff: Client, alice: User, bob: User
) -> None:
    absent = "/admin/auth/user/4711/clients/"
    before = [staff.get(path).status_code for path in (clients(bob), absent)]
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))

    after = [staff.get(path).status_code for path in (clients(bob), absent)]
    assert (before, after) == ([403, 403], [200, 404])
    assert Client().get(clients(bob)).status_code == 302


def test_the_page_of_a_user_leads_to_it(browser: Client, alice: User) -> None:
    page = browser.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()

    assert clients(alice) in page


# Where nobody signs in with what is made here


@pytest.mark.parametrize("mode", ["keystone", "none"])
def test_no_credential_is_made_where_none_is_asked_for(
    browser: Client, form: dict[str, Any], settings: Any, mode: str
) -> None:
    settings.IMAGECATALOG_AUTH = mode

    listed = browser.get(CREDENTIALS)
    posted = browser.post(f"{CREDENTIALS}add/", form)

    assert f"With IMAGECATALOG_AUTH={mode}" in listed.content.decode()
    assert f"{CREDENTIALS}add/" not in listed.content.decode()
    assert posted.status_code == 403
    assert not ApplicationCredential.objects.exists()
