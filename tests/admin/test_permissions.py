"""The table of permissions: which role each URL of the admin needs, by method and by action."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from images.access import staff
from images.admin import roles
from images.bulk import drafts
from images.bulk.edits import EDIT
from images.models import BulkChange, Image
from tests.admin.conftest import LIST
from tests.admin.urls import every, fill

MakeImage = Callable[..., Image]
NOBODY, STAFF, VIEWER, OPERATOR, MANAGER, SUPERUSER, NEVER = (
    "nobody",  # who has not signed in
    "staff",  # a member of no group
    *roles.ROLES,
    "superuser",
    "never",
)
# Each role has every permission of those before it.
ROLES = (NOBODY, STAFF, VIEWER, OPERATOR, MANAGER, SUPERUSER)

# URL -> the least role for GET, and for POST with an empty form.
URLS = {
    "live": (VIEWER, VIEWER),
    "logo": (NEVER, NEVER),
    "system": (STAFF, STAFF),
    "activity": (VIEWER, VIEWER),
    "search": (STAFF, STAFF),
    "second_factor_code": (NEVER, NEVER),
    "second_factor": (STAFF, STAFF),
    "index": (STAFF, STAFF),
    "login": (NOBODY, NOBODY),
    "logout": (NOBODY, STAFF),
    "password_change": (STAFF, STAFF),
    "password_change_done": (STAFF, NEVER),
    "autocomplete": (NEVER, NEVER),
    "jsi18n": (STAFF, NEVER),
    "view_on_site": (NEVER, NEVER),
    "identity_applicationcredential_changelist": (SUPERUSER, SUPERUSER),
    "identity_applicationcredential_add": (SUPERUSER, SUPERUSER),
    "identity_applicationcredential_history": (SUPERUSER, SUPERUSER),
    "identity_applicationcredential_delete": (SUPERUSER, SUPERUSER),
    "identity_applicationcredential_change": (SUPERUSER, NEVER),
    "images_family_version_action readmit": (MANAGER, MANAGER),
    "images_family_version_action promote": (OPERATOR, OPERATOR),
    "images_family_version_action withdraw": (MANAGER, MANAGER),
    "images_family_version_action remove": (MANAGER, MANAGER),
    "images_family_delete": (STAFF, STAFF),
    "images_family_action add": (MANAGER, MANAGER),
    "images_family_action rollback": (OPERATOR, OPERATOR),
    "images_family_action delete": (MANAGER, MANAGER),
    "images_family_changelist": (VIEWER, VIEWER),
    "images_family_add": (MANAGER, MANAGER),
    "images_family_history": (VIEWER, VIEWER),
    "images_family_change": (VIEWER, MANAGER),
    "images_image_live": (VIEWER, VIEWER),
    "images_image_suggest_tags": (VIEWER, NEVER),
    "images_image_bulk": (SUPERUSER, SUPERUSER),
    "images_image_export csv": (VIEWER, VIEWER),
    "images_image_export json": (VIEWER, VIEWER),
    "images_image_list_options": (VIEWER, VIEWER),
    "images_image_save_filter": (VIEWER, VIEWER),
    "images_image_live_one": (VIEWER, VIEWER),
    "images_image_upload": (MANAGER, MANAGER),
    "images_image_upload_live": (MANAGER, MANAGER),
    "images_image_move deactivate": (OPERATOR, OPERATOR),
    "images_image_move reactivate": (OPERATOR, OPERATOR),
    "images_image_move fail": (OPERATOR, OPERATOR),
    "images_image_move restore": (OPERATOR, OPERATOR),
    "images_image_move delete": (MANAGER, MANAGER),
    "images_image_move scrub": (MANAGER, MANAGER),
    "images_image_add_location": (MANAGER, MANAGER),
    "images_image_remove_location": (MANAGER, MANAGER),
    "images_image_change_member add": (NEVER, MANAGER),
    "images_image_change_member remove": (NEVER, MANAGER),
    "images_image_change_member pending": (NEVER, MANAGER),
    "images_image_change_member accepted": (NEVER, MANAGER),
    "images_image_change_member rejected": (NEVER, MANAGER),
    "images_image_retry": (NEVER, MANAGER),
    "images_image_cancel_transfer": (OPERATOR, OPERATOR),
    "images_image_data": (VIEWER, VIEWER),
    "images_image_properties": (VIEWER, VIEWER),
    "images_image_sharing": (VIEWER, VIEWER),
    "images_image_edit": (MANAGER, MANAGER),
    "images_image_download": (MANAGER, NEVER),
    "images_image_import": (MANAGER, MANAGER),
    "images_image_copy": (MANAGER, MANAGER),
    "images_image_guess": (MANAGER, MANAGER),
    "images_image_add_by_file": (MANAGER, MANAGER),
    "images_image_add_by_url": (MANAGER, MANAGER),
    "images_image_add_by_location": (MANAGER, MANAGER),
    "images_image_add_metadata": (MANAGER, MANAGER),
    "images_image_changelist": (VIEWER, VIEWER),
    "images_image_add": (MANAGER, MANAGER),
    "images_image_history": (VIEWER, VIEWER),
    "images_image_delete": (VIEWER, VIEWER),
    "images_image_change": (VIEWER, VIEWER),
    "images_job_live": (VIEWER, VIEWER),
    "images_job_cancel": (OPERATOR, OPERATOR),
    "images_job_changelist": (VIEWER, VIEWER),
    "images_job_change": (VIEWER, NEVER),
    "identity_project_suggest": (VIEWER, NEVER),
    "identity_project_usage": (VIEWER, VIEWER),
    "identity_project_changelist": (VIEWER, VIEWER),
    "identity_project_add": (SUPERUSER, SUPERUSER),
    "identity_project_history": (VIEWER, VIEWER),
    "identity_project_delete": (SUPERUSER, SUPERUSER),
    "identity_project_change": (VIEWER, SUPERUSER),
    "images_quotalimit_changelist": (SUPERUSER, SUPERUSER),
    "images_quotalimit_add": (SUPERUSER, SUPERUSER),
    "images_quotalimit_history": (SUPERUSER, SUPERUSER),
    "images_quotalimit_delete": (SUPERUSER, SUPERUSER),
    "images_quotalimit_change": (SUPERUSER, SUPERUSER),
    "images_retention_preview": (VIEWER, MANAGER),
    "images_retention_delete": (MANAGER, MANAGER),
    "images_retention_run": (VIEWER, MANAGER),
    "images_retentionpolicy_changelist": (VIEWER, VIEWER),
    "images_retentionpolicy_add": (MANAGER, MANAGER),
    "images_retentionpolicy_history": (VIEWER, VIEWER),
    "images_retentionpolicy_delete": (MANAGER, MANAGER),
    "images_retentionpolicy_change": (VIEWER, MANAGER),
    "images_metadefnamespace_changelist": (SUPERUSER, SUPERUSER),
    "images_metadefnamespace_add": (SUPERUSER, SUPERUSER),
    "images_metadefnamespace_history": (SUPERUSER, SUPERUSER),
    "images_metadefnamespace_delete": (SUPERUSER, SUPERUSER),
    "images_metadefnamespace_change": (SUPERUSER, SUPERUSER),
    "identity_signinevent_changelist": (SUPERUSER, SUPERUSER),
    "identity_signinevent_add": (NEVER, NEVER),
    "identity_signinevent_history": (SUPERUSER, SUPERUSER),
    "identity_signinevent_delete": (NEVER, NEVER),
    "identity_signinevent_change": (SUPERUSER, NEVER),
    "images_transfer_changelist": (VIEWER, VIEWER),
    "images_transfer_live": (VIEWER, VIEWER),
    "auth_group_changelist": (SUPERUSER, SUPERUSER),
    "auth_group_add": (SUPERUSER, SUPERUSER),
    "auth_group_history": (SUPERUSER, SUPERUSER),
    "auth_group_delete": (SUPERUSER, SUPERUSER),
    "auth_group_change": (SUPERUSER, SUPERUSER),
    "auth_user_credentials": (STAFF, STAFF),
    "auth_user_suggest": (SUPERUSER, NEVER),
    "auth_user_clients": (SUPERUSER, SUPERUSER),
    "auth_user_unlock": (NEVER, SUPERUSER),
    "auth_user_password_change": (SUPERUSER, SUPERUSER),
    "auth_user_changelist": (SUPERUSER, SUPERUSER),
    "auth_user_add": (SUPERUSER, SUPERUSER),
    "auth_user_history": (SUPERUSER, SUPERUSER),
    "auth_user_delete": (SUPERUSER, SUPERUSER),
    "auth_user_change": (SUPERUSER, SUPERUSER),
    "app_list identity": (STAFF, STAFF),
    "app_list images": (STAFF, STAFF),
    "app_list auth": (STAFF, STAFF),
}
# Action of the list of images -> the least role.
ACTIONS = {
    EDIT: MANAGER,
    "deactivate": OPERATOR,
    "reactivate": OPERATOR,
    "fail": OPERATOR,
    "restore": OPERATOR,
    "delete": MANAGER,
    "scrub": MANAGER,
}
# Lists of other rows, whose only action deletes.
DELETING = {
    "auth/group": SUPERUSER,
    "auth/user": SUPERUSER,
    "identity/applicationcredential": SUPERUSER,
    "identity/project": NEVER,
    "identity/signinevent": NEVER,
    "images/family": NEVER,
    "images/job": NEVER,
    "images/metadefnamespace": NEVER,
    "images/quotalimit": SUPERUSER,
    "images/retentionpolicy": NEVER,
    "images/transfer": NEVER,
}


@pytest.fixture
def clients(db: None) -> dict[str, Client]:
    """A browser of each role."""
    return {role: _client(role) for role in ROLES}


def _client(role: str) -> Client:
    client = Client(raise_request_exception=False)
    if role == NOBODY:
        return client
    user = User.objects.create_user(
        f"a {role}", is_staff=True, is_superuser=role == SUPERUSER
    )
    user.groups.set(Group.objects.filter(name=role))
    client.force_login(user, "imagecatalog.identity.backends.Passwords")
    return client


@contextmanager
def undone(client: Client) -> Iterator[None]:
    """Take back what happens in the database, and to the cookies of a browser."""
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    client.cookies.clear()
    client.cookies.load(cookies)


def wrong(
    clients: dict[str, Client], role: str, allows: Callable[[Client], bool]
) -> str:
    """Return what is wrong if ``role`` is not the least one that is allowed something."""
    first = ROLES.index(role) if role != NEVER else len(ROLES)
    for at, expected in ((first, True), (first - 1, False)):
        if at not in range(len(ROLES)):
            continue
        client = clients[ROLES[at]]
        with undone(client):
            if allows(client) is not expected:
                return f"{ROLES[at]} is {'refused' if expected else 'allowed'}"
    return ""


def is_allowed(response: Any) -> bool:
    assert response.status_code < 500, response.request["PATH_INFO"]
    is_sign_in = response.headers.get("Location", "").startswith("/admin/login/")
    return response.status_code not in (403, 404, 405) and not is_sign_in


def test_each_role_has_what_those_before_it_have() -> None:
    assert set(roles.VIEWER) < set(roles.OPERATOR) < set(roles.MANAGER)


@pytest.mark.once
@pytest.mark.slow
def test_every_url_needs_its_role(
    clients: dict[str, Client], make_image: MakeImage
) -> None:
    keys = fill(User.objects.get(username="a superuser"), make_image("active"))
    urls = [url for url in every(keys) if not url.is_redirect]
    found = {}
    for url in urls:
        for method, role in zip(("get", "post"), URLS[url.label], strict=True):
            found[f"{method} {url.label}"] = wrong(
                clients,
                role,
                lambda client, ask=method, path=url.path: is_allowed(
                    getattr(client, ask)(path)
                ),
            )

    assert {url.label for url in urls} == set(URLS)
    assert {label: text for label, text in found.items() if text} == {}


def begins(client: Client, path: str, action: str, key: str) -> bool:
    """Return whether a list leads to the page that confirms an action on a row."""
    form = {"action": action, "_selected_action": key, "index": "0"}
    response = client.post(path, form)
    assert response.status_code < 500
    if path == LIST:
        return "/bulk/" in response.headers.get("Location", "")
    return b'name="post"' in response.content  # Django asks whether to delete the rows


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_on_images_needs_its_role(
    clients: dict[str, Client], make_image: MakeImage, action: str
) -> None:
    key = make_image("active").pk

    assert (
        wrong(clients, ACTIONS[action], lambda it: begins(it, LIST, action, key)) == ""
    )


@pytest.mark.slow
def test_the_action_of_other_lists_needs_its_role(
    clients: dict[str, Client], make_image: MakeImage
) -> None:
    keys = fill(User.objects.get(username="a superuser"), make_image("active"))

    found = {
        model: wrong(
            clients,
            role,
            lambda client, model=model: begins(
                client,
                f"/admin/{model}/",
                "delete_selected",
                keys.get(model.replace("/", "_"), "1"),
            ),
        )
        for model, role in DELETING.items()
    }

    assert {model: text for model, text in found.items() if text} == {}


@pytest.mark.parametrize(
    ("verb", "step", "role"),
    [
        ("deactivate", "reason", OPERATOR),
        ("delete", "reason", MANAGER),
        ("delete", "undo", OPERATOR),
        ("delete", "cancel", OPERATOR),
        (EDIT, "edit", MANAGER),
    ],
)
def test_every_step_of_a_bulk_change_needs_its_role(
    clients: dict[str, Client], make_image: MakeImage, verb: str, step: str, role: str
) -> None:
    images = Image.objects.filter(pk=make_image("active").pk)

    def may_step(client: Client) -> bool:
        user = User.objects.filter(pk=client.session.get("_auth_user_id")).first()
        caller = staff(user.get_username() if user else "", "req-1")
        change = drafts.create(verb, images, caller)
        if step in ("undo", "cancel"):
            BulkChange.objects.filter(pk=change.pk).update(requested_at=timezone.now())
        return is_allowed(client.post(f"{LIST}bulk/{change.pk}/", {step: "x"}))

    assert wrong(clients, role, may_step) == ""
