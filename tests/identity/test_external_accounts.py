"""Users of an identity provider or a directory: how they are recognised, and their groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client

from imagecatalog.identity import external_accounts
from imagecatalog.identity.external_accounts import Account, GroupRules
from imagecatalog.identity.models import ExternalAccount, SignInEvent
from imagecatalog.identity.origin import Origin
from images import errors

pytestmark = pytest.mark.django_db
RULES = GroupRules.parse(["ops:operator", "urn:x:cloud:catalogue manager"], "")
WITH_ADMINS = replace(RULES, admin_group="admins")
ALICE = Account("https://id.example.org", "7", "alice", frozenset({"ops"}))
ORIGIN = Origin("192.0.2.1")


def sign_in(account: Account = ALICE, rules: GroupRules = RULES) -> Any:
    return external_accounts.sign_in(account, rules, "oidc", ORIGIN)


def in_groups(*groups: str) -> Account:
    return replace(ALICE, groups=frozenset(groups))


def groups_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def test_a_new_user_has_the_groups_of_its_account_and_no_password() -> None:
    user = sign_in(in_groups("ops", "urn:x:cloud", "others"))

    assert user.get_username() == "alice"
    assert groups_of(user) == {"operator", "catalogue manager"}
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert not user.has_usable_password()


def test_an_account_is_the_same_user_whatever_its_name_becomes() -> None:
    user = sign_in()

    assert sign_in(replace(ALICE, name="alice-smith")).pk == user.pk
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["root", "ROOT"])
def test_a_name_makes_nobody_a_user_who_exists(name: str) -> None:
    root = User.objects.create_superuser(name, email="alice@example.org")

    user = sign_in(replace(ALICE, name=name))

    assert user.pk != root.pk
    assert user.get_username() == f"{name}-2"
    assert not user.is_superuser


def test_the_same_subject_of_another_issuer_is_another_user() -> None:
    other = sign_in(replace(ALICE, issuer="https://other.example.org"))

    assert sign_in().pk != other.pk


@pytest.mark.parametrize("name", ["", "\0", "a b/ç\ud800", "x" * 300])
def test_every_name_becomes_a_name_of_a_user(name: str) -> None:
    sign_in(replace(ALICE, name=name)).full_clean(exclude=["password"])


@pytest.mark.parametrize("subject", ["", "\0", "é", "x" * 256])
def test_a_subject_that_cannot_be_stored_is_refused(subject: str) -> None:
    with pytest.raises(errors.Forbidden, match="no id of at most 255"):
        sign_in(replace(ALICE, subject=subject))


def test_who_is_in_no_group_with_access_is_refused_and_not_created() -> None:
    with pytest.raises(errors.Forbidden, match="in no group"):
        sign_in(in_groups("others"))

    assert not User.objects.exists()


def test_who_has_lost_all_groups_loses_the_admin(client: Client) -> None:
    user = sign_in()
    client.force_login(user)
    assert client.get("/admin/images/image/").status_code == 200

    with pytest.raises(errors.Forbidden):
        sign_in(in_groups())

    assert groups_of(user) == set()
    assert client.get("/admin/images/image/").status_code == 302


def test_groups_of_no_rule_stay() -> None:
    user = sign_in()
    user.groups.add(Group.objects.create(name="auditors"))

    sign_in(in_groups("urn:x:cloud"))

    assert groups_of(user) == {"auditors", "catalogue manager"}


def test_no_group_makes_a_superuser_unless_one_is_set() -> None:
    groups = frozenset({"ops", "admins", "superuser", ""})

    assert not sign_in(replace(ALICE, groups=groups)).is_superuser


def test_members_of_the_admin_group_are_superusers_until_they_leave_it() -> None:
    assert sign_in(in_groups("admins"), WITH_ADMINS).is_superuser

    assert not sign_in(in_groups("ops"), WITH_ADMINS).is_superuser


def test_a_superuser_whom_an_operator_made_stays_one_without_an_admin_group() -> None:
    user = sign_in()
    User.objects.filter(pk=user.pk).update(is_superuser=True)

    assert sign_in().is_superuser


def test_a_disabled_user_is_refused() -> None:
    user = sign_in()
    User.objects.filter(pk=user.pk).update(is_active=False)

    with pytest.raises(errors.Forbidden, match="disabled"):
        sign_in()

    refusal = SignInEvent.objects.get(verb="refused")
    assert (refusal.user, refusal.source) == ("alice", "192.0.2.1")


def test_the_sign_in_log_has_a_new_user_and_each_change_of_groups() -> None:
    sign_in()
    sign_in()
    sign_in(in_groups("urn:x:cloud"))

    log = SignInEvent.objects.order_by("id").values_list("verb", "detail")
    created, first, second = log
    assert created == ("user_create", {"issuer": ALICE.issuer, "subject": "7"})
    assert first[1]["groups"] == ["operator"]
    assert second[1]["groups"] == ["catalogue manager"]


def test_a_user_whom_the_previous_release_deleted_is_created_again() -> None:
    user = sign_in()
    with connection.cursor() as cursor:
        for table in ("auth_user_groups", "auth_user"):
            column = "id" if table == "auth_user" else "user_id"
            cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [user.pk])
    connection.check_constraints()

    again = sign_in()

    assert again.pk != user.pk
    assert ExternalAccount.objects.get().user_id == again.pk


def test_nothing_of_single_sign_on_is_there_without_its_settings(
    client: Client, settings: Any
) -> None:
    page = client.get("/admin/login/")

    assert b"Sign in with" not in page.content
    assert b"id_password" in page.content
    assert not any("allauth" in app for app in settings.INSTALLED_APPS)
    assert client.get("/admin/sso/").status_code == 302  # to the sign-in page
