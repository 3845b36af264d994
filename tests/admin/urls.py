"""Every URL of the admin, as a path to something that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver

from imagecatalog.identity.models import ApplicationCredential, Project, SignInEvent
from images import families, job_queue
from images.access import staff
from images.admin import actions, exports, family_actions, members
from images.bulk import acting, drafts
from images.metadefs import files
from images.metadefs.documents import clean_namespace
from images.models import (
    Image,
    MetadefNamespace,
    QuotaLimit,
    RetentionRun,
)
from images.retention import policies
from tests.definitions import TREE

# What the parts of a URL that name no row can be.
CHOICES = {
    "admin:images_image_move": ("verb", tuple(actions.ACTIONS)),
    "admin:images_image_change_member": ("what", tuple(members.CHANGES)),
    "admin:images_image_export": ("kind", tuple(exports.FORMATS)),
    "admin:images_family_action": ("verb", ("add", "rollback", "delete")),
    "admin:images_family_version_action": (
        "verb",
        tuple(set(family_actions.ACTIONS) - {"add", "rollback", "delete"}),
    ),
    "admin:app_list": ("app_label", ("identity", "images", "auth")),
}
QUERIES = {"admin:identity_project_usage": "?project=project-a"}


class Url(NamedTuple):
    """A URL of the admin: its name, a value that it names instead of a row, and a path."""

    name: str
    choice: str
    path: str

    @property
    def is_redirect(self) -> bool:
        """Whether the URL has no name: Django's redirect from a row to its page."""
        return self.name == "admin:None"

    @property
    def label(self) -> str:
        """The name without ``admin:``, with the value, such as ``images_image_move delete``."""
        return f"{self.name.removeprefix('admin:')} {self.choice}".strip()


def named(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (route, name) of every URL below ``patterns``."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from named(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, f"admin:{pattern.name}"


def fill(user: User, image: Image) -> dict[str, str]:
    """Create a row of every kind that a URL can name; return the keys by the names in the URLs.

    ``image`` is an active image.
    """
    actor = staff(user.get_username(), "req-1")
    project = Project.objects.create(id="project-a", name="Project A")
    family = families.create(
        actor,
        {"name": "debian", "architecture": "x86_64", "owner": project.pk},
    )
    families.add(actor, family.name, image.pk, label="1")
    document = {"name": "old", "scope": {"everything": True}, "keep": {"last": 1}}
    policy = policies.create(actor, document | {"actions": [{"hide": "0d"}]})
    run = RetentionRun.objects.create(policy=policy, name="old", snapshot={}, actor="a")
    change = drafts.create("delete", Image.objects.filter(pk=image.pk), actor)
    files.load(clean_namespace(TREE))
    transfer = image.transfers.create(
        kind="copy",
        status="failed",
        store="local",
        key=uuid4().hex,
        source="http://x/y",
    )
    credential = ApplicationCredential.objects.create(
        name="ci", user=user, project=project, role="member"
    )
    keys: dict[str, Any] = {
        "image_id": image,
        "location_id": image.locations.get(),
        "transfer_id": transfer,
        "family_id": family,
        "policy_id": policy,
        "run_id": run,
        "change_id": change,
        "job_id": job_queue.request(acting.KIND, actor),
        "id": user,
        "images_image": image,
        "images_family": family,
        "images_retentionpolicy": policy,
        "images_metadefnamespace": MetadefNamespace.objects.get(),
        "images_quotalimit": QuotaLimit.objects.create(
            project=project.pk, name="image_size_total", value=5
        ),
        "identity_project": project,
        "identity_applicationcredential": credential,
        "identity_signinevent": SignInEvent.objects.create(verb="sign_in", user="bob"),
        "auth_group": Group.objects.get(name="viewer"),
        "auth_user": User.objects.create_user("bob"),
    }
    keys["images_job"] = keys["job_id"]
    return {name: str(row.pk) for name, row in keys.items()} | {"label": "1"}


def every(keys: dict[str, str]) -> Iterator[Url]:
    """Yield every URL of the admin, with those keys of rows."""
    for route, name in named(admin.site.urls[0]):
        part, choices = CHOICES.get(name, ("", ("",)))
        for choice in choices:
            path = _filled(route, name, keys | {part: choice})
            if path is not None:
                yield Url(name, choice, path)


def _filled(route: str, name: str, keys: dict[str, str]) -> str | None:
    """Return the path of a route; None for the last one, which matches everything else."""
    if route.startswith("(?P<url>"):
        return None
    if route.startswith("^"):
        return f"/admin/{keys['app_label']}/"
    model = "_".join(route.split("/")[:2])

    def key(match: re.Match[str]) -> str:
        if match[1] == "object_id":
            return keys.get(model, "1")
        return keys.get(match[1], "1")

    query = QUERIES.get(name, "")
    return "/admin/" + re.sub(r"<(?:\w+:)?(\w+)>", key, route) + query
