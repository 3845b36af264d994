"""Retention policies in the browser admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from images import families, job_queue
from images.access import Caller
from images.jobs import kinds
from images.models import Family, Image, Job, RetentionPolicy, RetentionRun
from images.retention import policies, runs

POLICIES = "/admin/images/retentionpolicy/"
FORM = {
    "name": "old",
    "scope": '{"everything": true}',
    "select": "{}",
    "group_by": "name",
    "keep": '{"last": 1}',
    "shared": "keep",
    "actions": '[{"hide": "0d"}]',
    "schedule": "30 3 * * *",
    "enabled": "on",
    "max_per_run": "100",
    "max_share": "50",
}


@pytest.fixture
def policy(admin: Caller, db: None) -> RetentionPolicy:
    document = {
        "name": "old",
        "scope": {"everything": True},
        "keep": {"last": 1},
        "actions": [{"hide": "0d"}],
    }
    return policies.create(admin, document)


@pytest.fixture
def older(aged: Any) -> Image:
    """The older one of two images of one name."""
    aged(1)
    image: Image = aged(2)
    return image


def text(response: Any) -> str:
    content: str = response.content.decode()
    return content


def finish() -> None:
    for job in Job.objects.open():
        kinds.carry_out(job.pk)


def test_a_policy_is_added_changed_and_deleted(root: Client, db: None) -> None:
    root.post(f"{POLICIES}add/", FORM)

    policy = RetentionPolicy.objects.get()
    assert (policy.name, policy.keep, policy.enabled) == ("old", {"last": 1}, True)
    assert policy.next_run_at is not None
    page = f"{POLICIES}{policy.pk}/change/"
    root.post(page, FORM | {"keep": '{"last": 2}', "initial-keep": '{"last": 1}'})
    assert RetentionPolicy.objects.get().keep == {"last": 2}
    assert "30 3 * * *" in text(root.get(POLICIES))

    root.post(f"{POLICIES}{policy.pk}/delete/")
    assert not RetentionPolicy.objects.exists()


def test_the_form_of_a_new_policy_has_no_values_that_are_no_rules(
    root: Client, db: None
) -> None:
    assert ">\nnull<" not in text(root.get(f"{POLICIES}add/"))


def test_a_cancelled_run_is_shown_as_cancelled(
    root: Client, admin: Caller, policy: RetentionPolicy, older: Image
) -> None:
    run = runs.start(admin, policy.name, force=True)
    assert run.job is not None
    job_queue.cancel(run.job.pk, admin)

    page = text(root.get(f"{POLICIES}runs/{run.pk}/"))

    assert "<td>cancelled</td>" in page
    assert "planned" not in page


def test_a_bad_rule_is_an_error_of_the_form(root: Client, db: None) -> None:
    response = root.post(f"{POLICIES}add/", FORM | {"keep": '{"last": 0}'})

    assert "Invalid keep.last" in text(response)


def test_a_preview_is_run_and_the_run_undone(
    root: Client, policy: RetentionPolicy, older: Image
) -> None:
    page = f"{POLICIES}{policy.pk}/preview/"
    shown = root.get(page)
    assert "2 days old, 2nd of 2, no rule keeps it (last 1)" in text(shown)
    assert "Recorded in the histories of the images." in text(shown)
    token = shown.context["found"].token

    response = root.post(page, {"preview": token, "reason": "tidy up"})

    run = RetentionRun.objects.get()
    assert response.url == f"{POLICIES}runs/{run.pk}/"  # type: ignore[attr-defined]
    assert (run.actor, run.interface, run.reason) == ("root", "admin", "tidy up")
    finish()
    assert Image.objects.get(pk=older.pk).os_hidden
    assert "Undo" in text(root.get(response.url))  # type: ignore[attr-defined]
    assert f"runs/{run.pk}/" in text(root.get(f"{POLICIES}{policy.pk}/change/"))

    root.post(response.url, {"reason": "a mistake"})  # type: ignore[attr-defined]
    finish()
    assert not Image.objects.get(pk=older.pk).os_hidden


def test_the_page_of_a_run_follows_its_job(
    root: Client, admin: Caller, policy: RetentionPolicy, older: Image
) -> None:
    run = runs.start(admin, policy.name, force=True)
    page = f"{POLICIES}runs/{run.pk}/"
    poll = f"/admin/images/job/live/?ids={run.job_id}"

    waiting = root.get(page)

    assert f'data-poll="{poll}"' in text(waiting)
    assert "images/live.js" in text(waiting)
    assert root.get(poll).json()["state"] == waiting.context["state"] != ""
    job = text(root.get(f"/admin/images/job/{run.job_id}/change/"))
    assert "Retention: old" in job
    assert page in job
    assert "Retention: old" in text(root.get(f"/admin/images/job/{run.job_id}/cancel/"))
    finish()
    assert root.get(poll).json()["state"] == ""
    assert "data-poll" not in text(root.get(page))


def test_a_stale_preview_is_shown_again(
    root: Client, policy: RetentionPolicy, older: Image
) -> None:
    page = f"{POLICIES}{policy.pk}/preview/"
    token = root.get(page).context["found"].token
    Image.objects.filter(pk=older.pk).update(updated_at=timezone.now())

    response = root.post(page, {"preview": token, "reason": "tidy up"})

    assert "has changed since the preview" in text(response)
    assert response.context["found"].token != token
    assert not RetentionRun.objects.exists()


def test_a_viewer_sees_the_preview_and_cannot_run_it(
    client_with: Any, policy: RetentionPolicy, older: Image
) -> None:
    client = client_with("view_image")
    page = f"{POLICIES}{policy.pk}/preview/"

    shown = client.get(page)

    assert "2 days old" in text(shown)
    assert 'type="submit"' not in text(shown).split("content-main")[1]
    body = {"preview": shown.context["found"].token, "reason": "tidy up"}
    assert client.post(page, body).status_code == 403
    assert client.post(f"{POLICIES}{policy.pk}/delete/").status_code == 403
    assert not RetentionRun.objects.exists()


@pytest.fixture
def client_with(db: None) -> Any:
    """``client_with("view_image")``: a staff user with these permissions, signed in."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("staff", is_staff=True)
        found = Permission.objects.filter(
            content_type__app_label="images", codename__in=codenames
        )
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return make


def test_the_page_of_a_policy_names_a_value_of_a_newer_release(
    root: Client, policy: RetentionPolicy
) -> None:
    RetentionPolicy.objects.update(scope={"domains": ["d"]})

    response = root.get(f"{POLICIES}{policy.pk}/preview/", follow=True)

    assert response.redirect_chain == [(f"{POLICIES}{policy.pk}/change/", 302)]
    assert "Invalid scope" in text(response)


def test_a_family_gets_a_policy_from_those_who_manage_policies(
    root: Client, client_with: Any, policy: RetentionPolicy, member: Caller
) -> None:
    made = families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    page = f"/admin/images/family/{made.pk}/change/"

    form = {
        "name": "debian-13",
        "scope": "project",
        "naming": "same",
        "name_separator": " ",
        "initial-name_separator": " ",
        "hide_old": "on",
        "initial-hide_old": "True",
        "retention": "old",
    }
    others = client_with("view_image", "view_family", "change_family")

    assert 'name="retention"' not in text(others.get(page))
    others.post(page, form | {"title": "Debian"})
    changed = Family.objects.get()
    assert (changed.title, changed.retention) == ("Debian", "")
    root.post(page, form)
    assert Family.objects.get().retention == "old"
