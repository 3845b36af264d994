"""Pages of users: admin access, roles in projects, sign-ins and locks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project, RoleAssignment, SignInEvent

USERS = "/admin/auth/user/"
LOG = "/admin/identity/signinevent/"
PASSWORD = "correct horse battery staple"
NO_ROLES: dict[str, Any] = {
    "assignments-TOTAL_FORMS": 0,
    "assignments-INITIAL_FORMS": 0,
}


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", password=PASSWORD)


def path(user: User, rest: str = "change/") -> str:
    return f"{USERS}{user.pk}/{rest}"


def form(**values: Any) -> dict[str, Any]:
    return {"username": "alice", "is_active": "on", **NO_ROLES, **values}


def access_of(user: User) -> tuple[bool, bool, list[str], int]:
    user.refresh_from_db()
    groups = list(user.groups.values_list("name", flat=True))
    return user.is_staff, user.is_superuser, groups, user.user_permissions.count()


def level(name: str) -> str:
    return f"group:{Group.objects.get(name=name).pk}"


def newest_event() -> SignInEvent:
    return SignInEvent.objects.latest("pk")


def test_a_user_is_created_with_admin_access_and_a_role_on_one_page(
    root: Client,
) -> None:
    Project.objects.create(name="lab")
    role = {
        "assignments-TOTAL_FORMS": 1,
        "assignments-0-project": "lab",
        "assignments-0-role": "reader",
    }
    password = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    root.post(f"{USERS}add/", form(access=level("viewer"), **password) | role)

    alice = User.objects.get(username="alice")
    assert access_of(alice) == (True, False, ["viewer"], 0)
    assert RoleAssignment.objects.get(user=alice).role == "reader"
    verbs = set(SignInEvent.objects.values_list("verb", flat=True))
    assert verbs == {"user_create", "groups_change", "role_give"}


@pytest.mark.parametrize(
    ("wanted", "access"),
    [
        ("none", (False, False, [], 0)),
        ("operator", (True, False, ["operator"], 0)),
        ("superuser", (True, True, [], 0)),
    ],
)
def test_admin_access_is_one_choice(
    root: Client, alice: User, wanted: str, access: Any
) -> None:
    alice.is_staff = True
    alice.save()
    alice.groups.add(Group.objects.get(name="viewer"))
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))

    value = level(wanted) if wanted == "operator" else wanted
    root.post(path(alice), form(access=value))

    assert access_of(alice) == access
    event = newest_event()
    assert (event.verb, event.user) == ("groups_change", "alice")
    assert event.detail["groups"] == access[2]


def test_rights_of_another_combination_stay_unless_another_access_is_chosen(
    root: Client, alice: User
) -> None:
    alice.is_staff = True
    alice.save()
    alice.groups.set(Group.objects.filter(name__in=["viewer", "operator"]))
    before = access_of(alice)

    page = root.get(path(alice)).content.decode()
    root.post(path(alice), form(access="custom", first_name="Alice"))

    assert "Custom: Operator, Viewer" in page or "Custom: Viewer, Operator" in page
    assert access_of(alice) == before
    assert User.objects.get(pk=alice.pk).first_name == "Alice"


def test_single_permissions_have_a_page_of_their_own(root: Client, alice: User) -> None:
    page = root.get(path(alice)).content.decode()
    advanced = root.get(f"{path(alice)}?advanced=1").content.decode()

    wanted = Permission.objects.get(codename="view_image")
    values = {"username": "alice", "is_staff": "on", "user_permissions": [wanted.pk]}
    root.post(f"{path(alice)}?advanced=1", values)

    assert "user_permissions" not in page
    assert "user_permissions" in advanced
    assert access_of(alice) == (True, False, [], 1)
    assert newest_event().verb == "groups_change"


def manager_of_users(signed_in: Callable[..., Client]) -> Client:
    client = signed_in("viewer")
    user = User.objects.get(username="viewer")
    names = ["view_user", "change_user", "add_user", "delete_user"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return client


def test_only_superusers_give_admin_access(
    signed_in: Callable[..., Client], alice: User
) -> None:
    manager = manager_of_users(signed_in)
    flags = {"is_staff": "on", "is_superuser": "on", "access": "superuser"}

    changed = manager.post(path(alice), form(**flags))
    values = form(first_name="Alice", **flags)
    advanced = manager.post(f"{path(alice)}?advanced=1", values)
    password = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    manager.post(f"{USERS}add/", {"username": "bob", **password, **flags})

    assert (changed.status_code, advanced.status_code) == (302, 302)
    assert access_of(alice) == (False, False, [], 0)
    assert User.objects.get(pk=alice.pk).first_name == "Alice"
    assert access_of(User.objects.get(username="bob")) == (False, False, [], 0)


def test_only_superusers_change_a_superuser(
    signed_in: Callable[..., Client], root: Client
) -> None:
    manager, superuser = manager_of_users(signed_in), User.objects.get(username="root")
    password = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    answers = [
        manager.post(path(superuser), form(username="root2")),
        manager.post(path(superuser, "password/"), password),
        manager.post(path(superuser, "delete/"), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_superusers_do_not_take_their_own_access_away(root: Client) -> None:
    superuser = User.objects.get(username="root")

    page = root.get(path(superuser)).content.decode()
    own = form(username="root", access="none")
    del own["is_active"]
    root.post(path(superuser), own)
    root.post(f"{path(superuser)}?advanced=1", own)
    deleted = root.post(path(superuser, "delete/"), {"post": "yes"})

    assert 'name="access"' not in page
    assert access_of(superuser)[:2] == (True, True)
    assert superuser.is_active
    assert deleted.status_code == 403


@pytest.mark.parametrize(
    ("was", "verb"), [(True, "user_disable"), (False, "user_enable")]
)
def test_disabling_and_enabling_a_user_is_on_record(
    root: Client, alice: User, was: bool, verb: str
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=was)
    values = form(access="none")
    if was:
        del values["is_active"]

    root.post(path(alice), values)

    assert User.objects.get(pk=alice.pk).is_active is not was
    assert (newest_event().verb, newest_event().user) == (verb, "alice")


def test_a_new_password_is_on_record(root: Client, alice: User) -> None:
    values = {"password1": PASSWORD + "!", "password2": PASSWORD + "!"}

    root.post(path(alice, "password/"), {"usable_password": "true", **values})

    assert User.objects.get(pk=alice.pk).check_password(PASSWORD + "!")
    assert (newest_event().verb, newest_event().user) == ("password_reset", "alice")


def test_a_password_that_users_change_themselves_is_on_record(alice: User) -> None:
    alice.is_staff = True
    alice.save()
    new = {"new_password1": PASSWORD + "!", "new_password2": PASSWORD + "!"}

    client = sign_in("alice", PASSWORD)
    client.post("/admin/password_change/", {"old_password": PASSWORD, **new})

    assert (newest_event().verb, newest_event().user) == ("password_change", "alice")


def test_a_group_keeps_the_permissions_of_other_apps(root: Client) -> None:
    group = Group.objects.create(name="auditors")
    other = Permission.objects.filter(content_type__app_label="sessions").first()
    assert other
    group.permissions.add(other)

    root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "reviewers"})

    group.refresh_from_db()
    assert (group.name, list(group.permissions.all())) == ("reviewers", [other])


def test_a_group_has_a_box_for_each_permission(root: Client) -> None:
    group, wanted = Group.objects.get(name="viewer"), ["view_image", "scrub_image"]
    boxes = Permission.objects.filter(codename__in=wanted).values_list("pk", flat=True)
    page = f"/admin/auth/group/{group.pk}/change/"

    shown = root.get(page).content.decode()
    root.post(page, {"name": "viewer", "permissions": list(boxes)})

    assert "Can add log entry" not in shown
    names = group.permissions.values_list("codename", flat=True)
    assert sorted(names) == sorted(wanted)


@pytest.mark.parametrize("count", [1, 5])
def test_the_list_of_users_needs_as_many_queries_for_many_as_for_few(
    root: Client, count: int
) -> None:
    lab = Project.objects.create(name="lab")
    for number in range(count):
        user = User.objects.create_user(f"of-many-{number}", is_staff=True)
        user.groups.add(Group.objects.get(name="viewer"))
        RoleAssignment.objects.create(user=user, project=lab, role="reader")

    with CaptureQueriesContext(connection) as queries:
        page = root.get(USERS).content.decode()

    assert page.count("reader in lab") == count
    assert len(queries) <= 11, [query["sql"][:150] for query in queries]


# Sign-ins


def sign_in(name: str, password: str) -> Client:
    client = Client()
    values = {"username": name, "password": password, "next": "/admin/"}
    client.post("/admin/login/", values)
    return client


def test_the_log_has_sign_ins_refusals_and_sign_outs_of_the_admin(
    root: Client, alice: User
) -> None:
    alice.is_staff = True
    alice.save()

    sign_in("alice", "wrong")
    sign_in("alice", PASSWORD).post("/admin/logout/")

    events = SignInEvent.objects.filter(user="alice").order_by("pk")
    found = [(event.verb, event.detail.get("method")) for event in events]
    assert found == [
        ("refused", "password"),
        ("sign_in", "password"),
        ("sign_out", None),
    ]
    assert all(event.source == "127.0.0.1" and event.request_id for event in events)
    log = root.get(LOG).content.decode()
    for text in ("Signed in to the admin", "Sign-in refused", "Signed out"):
        assert text in log
    assert path(alice) in log


def test_there_is_one_log(root: Client) -> None:
    page = root.get("/admin/system/").content.decode()

    assert LOG in page
    assert "/admin/axes/" not in page


def test_the_log_is_narrowed_to_a_kind_and_to_a_user(root: Client) -> None:
    SignInEvent.objects.create(verb="sign_in", user="alice", source="10.0.0.1")
    SignInEvent.objects.create(verb="refused", user="alice", source="10.0.0.2")
    SignInEvent.objects.create(verb="role_give", user="bob", source="10.0.0.3")

    def sources(**query: str) -> list[str]:
        page = root.get(LOG, query).content.decode()
        return [it for it in ("10.0.0.1", "10.0.0.2", "10.0.0.3") if it in page]

    assert sources(kind="sign-ins") == ["10.0.0.1"]
    assert sources(kind="refused") == ["10.0.0.2"]
    assert sources(kind="changes") == ["10.0.0.3"]
    assert sources(user="alice") == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("count", [1, 5])
def test_the_log_needs_as_many_queries_for_many_events_as_for_few(
    root: Client, count: int
) -> None:
    for number in range(count):
        project = Project.objects.create(name=f"of-many-{number}")
        detail = {"project": project.pk, "role": "reader"}
        SignInEvent.objects.create(verb="role_give", user=f"u{number}", detail=detail)

    with CaptureQueriesContext(connection) as queries:
        page = root.get(LOG).content.decode()

    assert page.count("reader, project of-many-") == count
    assert len(queries) <= 7, [query["sql"][:150] for query in queries]


def test_the_page_of_a_user_shows_the_newest_sign_ins(
    root: Client, alice: User
) -> None:
    SignInEvent.objects.create(verb="token_issue", user="alice", source="10.0.0.7")
    SignInEvent.objects.create(verb="token_issue", user="bob", source="10.0.0.8")

    page = root.get(path(alice)).content.decode()

    assert "Signed in to the API" in page
    assert "10.0.0.7" in page
    assert "10.0.0.8" not in page
    assert f"{LOG}?user=alice" in page


def test_a_locked_user_is_unlocked_on_the_page(root: Client, alice: User) -> None:
    AccessAttempt.objects.create(
        username="alice",
        ip_address="10.0.0.9",
        failures_since_start=5,
        attempt_time=timezone.now(),
        user_agent="x",
    )

    page = root.get(path(alice)).content.decode()
    root.post(path(alice, "unlock/"))

    assert "Locked for sign-ins from 10.0.0.9" in page
    assert not AccessAttempt.objects.exists()
