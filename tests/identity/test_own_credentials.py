"""Users of the admin and their own application credentials."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from imagecatalog.identity.models import ApplicationCredential, SignInEvent

PAGE = "/admin/auth/user/credentials/"
FORM = {"name": "robot", "project": "id-of-lab", "role": "member", "expires_at": ""}


@pytest.fixture
def browser(alice: User) -> Client:
    """A browser in which alice is signed in: staff without permissions and without a password."""
    alice.is_staff = True
    alice.set_unusable_password()
    alice.save()
    client = Client()
    client.force_login(alice)
    return client


def test_a_user_makes_a_credential_and_uses_it_at_the_api(browser: Client) -> None:
    answer = browser.post(PAGE, FORM)

    row = ApplicationCredential.objects.get()
    key = re.search(rf"{row.pk}\.[\w-]+", answer.content.decode())
    assert key is not None
    assert (row.user.get_username(), row.role, row.actions) == ("alice", "member", None)
    headers = {"Authorization": f"Bearer {key[0]}"}
    assert Client().get("/v2/images", headers=headers).status_code == 200
    assert key[0] not in browser.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"role": "admin"}, "does not have the role"),
        ({"project": "id-of-other"}, "Select a valid choice"),
        ({"name": ""}, "required"),
        ({"expires_at": "2020-01-01"}, "in the future"),
    ],
)
def test_what_cannot_be_is_said(
    wrong: dict[str, Any], words: str, browser: Client
) -> None:
    answer = browser.post(PAGE, FORM | wrong)

    assert words in answer.content.decode()
    assert not ApplicationCredential.objects.exists()


def test_a_name_that_is_taken_is_said(browser: Client) -> None:
    browser.post(PAGE, FORM)

    answer = browser.post(PAGE, FORM)

    assert "already has an application credential named" in answer.content.decode()
    assert ApplicationCredential.objects.count() == 1


def test_a_user_deletes_its_own_credential(browser: Client) -> None:
    browser.post(PAGE, FORM)
    row = ApplicationCredential.objects.get()

    answer = browser.post(PAGE, {"delete": row.pk}, follow=True)

    assert "robot was deleted" in answer.content.decode()
    verbs = SignInEvent.objects.order_by("id").values_list("verb", flat=True)
    assert verbs.last() == "application_credential_delete"


def test_the_credential_of_another_user_does_not_exist(
    browser: Client, bob: User
) -> None:
    row = ApplicationCredential.objects.create(
        user=bob, project_id="id-of-lab", name="bobs", role="member", secret="x"
    )

    answer = browser.post(PAGE, {"delete": row.pk})

    assert answer.status_code == 404
    assert ApplicationCredential.objects.exists()
    assert "bobs" not in browser.get(PAGE).content.decode()


def test_a_user_without_a_project_is_told_so(browser: Client, alice: User) -> None:
    alice.assignments.all().delete()

    page = browser.get(PAGE).content.decode()

    assert "You have no role in any project" in page
    assert 'name="project"' not in page


def test_the_client_configuration_leads_there(browser: Client, alice: User) -> None:
    page = browser.get(f"/admin/auth/user/{alice.pk}/clients/").content.decode()

    assert f'href="{PAGE}?project=id-of-lab"' in page
