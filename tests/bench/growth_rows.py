"""The rows of the growth table: pages of the API and the admin, and rounds of the worker."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.utils import timezone

from imagecatalog.identity.models import Project
from images import lifecycle
from images.models import (
    Image,
    ImageLocation,
    RetentionPolicy,
    Status,
    Transfer,
    TransferKind,
)
from images.operations import (
    fullest_projects,
    metrics,
    overview,
    purge,
    scheduled_verification,
)
from images.operations.consistency.history_checks import broken_histories
from images.operations.consistency.row_checks import ROW_CHECKS
from images.publishing import renewal
from images.transfers import reaper
from tests.bench import families, fill
from tests.bench.catalogue import BUSY, MEMBERS, PROJECTS, image_id
from tests.bench.rows import PAGE_MUST, SEARCHES

IMAGES = "/admin/images/image/"
DEAD = 20  # transfers of a round of the reaper, and images of one of the scrubber


@dataclass(frozen=True)
class Row:
    """A row of the table; ``limit`` in ms, 0: none."""

    group: str
    title: str
    run: Callable[[], object]
    limit: float = 0


def rows(size: int) -> Iterator[Row]:
    """Yield all rows for a catalogue of ``size`` images."""
    families.publish()
    yield from _api(size)
    yield from _admin(size)
    yield from _worker()


def _get(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200, f"{path}: {response.status_code}"
    if response.streaming:
        next(iter(response.streaming_content))  # type: ignore[arg-type]
    response.close()


def _client(name: str, project: str, role: str) -> Client:
    """A client that signs in to the API with a password, made with its user where it is missing."""
    password = PBKDF2PasswordHasher().encode(name, "salt" * 8, iterations=1)
    user, _ = User.objects.update_or_create(
        username=name, defaults={"password": password}
    )
    Project.objects.get_or_create(id=project, defaults={"name": project})
    user.assignments.get_or_create(project_id=project, defaults={"role": role})
    pair = b64encode(f"{name}:{name}".encode()).decode()
    return Client(headers={"Authorization": f"Basic {pair}"})


def _api(size: int) -> Iterator[Row]:
    admin = _client("bench-admin", "bench", "admin")
    # Of a project that is a member of SHARED images and owns 100 of a million.
    member = _client("bench-member", f"project-{PROJECTS - MEMBERS}", "member")
    deep = f"limit=25&marker={image_id(size // 10 + 3)}"  # a public image
    for title, client, query in (
        ("list 25, first page", admin, "?limit=25"),
        ("list 25, deep page", admin, f"?{deep}"),
        ("list 1,000", admin, "?limit=1000"),
        ("show", admin, f"/{image_id(size // 2)}"),
        ("list by name", admin, "?name=bench-77"),
        ("list by a common tag", admin, "?tag=even-1"),
        ("list by a rare tag", admin, "?tag=decade-97"),
        ("list by a property", admin, "?os_distro=ubuntu"),
        ("list by size", admin, "?size_min=4294967296"),
        ("list by time of change", admin, "?updated_at=gte:2026-01-01T00:00:00Z"),
        ("list sorted by name", admin, "?sort_key=name&sort_dir=asc"),
        ("list sorted by size", admin, "?sort_key=size"),
        ("list sorted by time of change", admin, "?sort_key=updated_at"),
        ("list of a project", member, "?limit=25"),
        ("list of a project, deep page", member, f"?{deep}"),
        ("list of a project, by name", member, "?sort_key=name&limit=25"),
        ("list of a project, by size", member, "?sort_key=size&limit=25"),
        ("list of what is shared", member, "?visibility=shared&limit=25"),
        ("list of 100 members", admin, f"/{image_id(5)}/members"),
    ):
        path = f"/v2/images{query}"
        yield Row("API", f"API: {title}", partial(_get, client, path))
    for title, path in (
        ("v1 list", "/v1/images/detail"),
        ("quota of a project", "/catalog/v1/quotas/project-7"),
        ("published index", "/pub/index.json"),
        ("published family", "/pub/images/family-7/"),
    ):
        yield Row("API", f"API: {title}", partial(_get, admin, path))
    yield Row("API", "API: create, change, delete", partial(_create, admin))


def _create(client: Client) -> None:
    """Create, change and delete an image, each of which writes into all indexes."""
    made = client.post("/v2/images", fill.document(1), "application/json")
    path = f"/v2/images/{made.json()['id']}"
    change = [{"op": "replace", "path": "/name", "value": "changed"}]
    kind = "application/openstack-images-v2.1-json-patch"
    changed = client.patch(path, json.dumps(change), kind)
    deleted = client.delete(path)
    found = made.status_code, changed.status_code, deleted.status_code
    assert found == (201, 200, 204), found


def _admin(size: int) -> Iterator[Row]:
    overview.statistics()  # of a large catalogue, the worker's work
    root, _ = User.objects.get_or_create(
        username="bench-root", defaults={"is_staff": True, "is_superuser": True}
    )
    browser = Client()
    browser.force_login(root, "imagecatalog.identity.backends.Passwords")
    policies = {
        name: RetentionPolicy.objects.get_or_create(
            name=name, defaults={"scope": scope, "keep": {"last": 3}}
        )[0].pk
        for name, scope in (
            ("project", {"projects": ["project-7"]}),
            ("everything", {"everything": True}),
        )
    }
    for title, path in (
        ("front page", "/admin/"),
        ("list", IMAGES),
        ("list, page 40", f"{IMAGES}?p=40"),
        ("list, by name", f"{IMAGES}?sort=named"),
        ("list, by status", f"{IMAGES}?sort=status_badge"),
        ("list, by size", f"{IMAGES}?sort=-size_shown"),
        ("list of a project", f"{IMAGES}?owner=project-7"),
        ("list of a rare tag", f"{IMAGES}?tag=decade-97"),
        ("list of a property", f"{IMAGES}?property=os_distro=ubuntu"),
        ("list of a store", f"{IMAGES}?store=local"),
        ("list of large images", f"{IMAGES}?size_min=4+GiB"),
        ("list of a month", f"{IMAGES}?created_from=2023-11-15&created_to=2023-12-14"),
        ("trash", f"{IMAGES}?view=trash"),
        ("trash, by time of deletion", f"{IMAGES}?view=trash&sort=trash_age"),
        ("trash of a project", f"{IMAGES}?view=trash&owner=project-7"),
        ("deleted", f"{IMAGES}?view=deleted"),
        ("in progress", f"{IMAGES}?view=moving"),
        ("stuck", f"{IMAGES}?view=stuck"),
        ("without data", f"{IMAGES}?view=without-data"),
        ("unverified", f"{IMAGES}?view=unverified"),
        ("failed", f"{IMAGES}?view=failed"),
        ("damaged", f"{IMAGES}?view=damaged"),
        *((f"search, {kind}", f"{IMAGES}?q={words}") for kind, words in SEARCHES),
        ("search in the trash", f"{IMAGES}?q=ubuntu&view=trash"),
        ("search, name of projects", f"{IMAGES}?q=project"),
        ("search everywhere, a common word", "/admin/search/?q=ubuntu"),
        ("search everywhere, a rare word", "/admin/search/?q=bench-97753"),
        ("image", f"{IMAGES}{image_id(size // 2 + 1)}/change/"),
        ("image of a list", _of_list(size)),
        ("image, edit", f"{IMAGES}{image_id(size // 2 + 1)}/edit/"),
        ("suggested tags", f"{IMAGES}tags/?q=deca"),
        ("history of 10,000 events", f"{IMAGES}{image_id(BUSY)}/history/"),
        ("activity", "/admin/activity/"),
        ("activity of a user", "/admin/activity/?actor=user-7"),
        ("activity of a project", "/admin/activity/?project=project-7"),
        ("activity, rare event", "/admin/activity/?event=image.update"),
        ("export, first byte", f"{IMAGES}export/csv/"),
        ("export of a search, first byte", f"{IMAGES}export/csv/?q=ubuntu"),
        ("transfers", "/admin/images/transfer/"),
        ("projects", "/admin/identity/project/"),
        ("project", "/admin/identity/project/project-7/change/"),
        ("users", "/admin/auth/user/"),
        ("quotas", "/admin/images/quotalimit/"),
        ("jobs", "/admin/images/job/"),
        ("families", "/admin/images/family/"),
        ("sign-ins", "/admin/identity/signinevent/"),
        ("retention policies", "/admin/images/retentionpolicy/"),
        (
            "retention preview, a project",
            f"/admin/images/retentionpolicy/{policies['project']}/preview/",
        ),
        (
            "retention preview, everything",
            f"/admin/images/retentionpolicy/{policies['everything']}/preview/",
        ),
    ):
        run = partial(_get, browser, path)
        yield Row("admin", f"admin: {title}", run, PAGE_MUST)


def _of_list(size: int) -> str:
    """The page of an image that was opened from the results of a search, with its neighbours."""
    query = "_changelist_filters=q%3Dubuntu&at=1"
    return f"{IMAGES}{image_id(size // 2 + 1)}/change/?{query}"


def _worker() -> Iterator[Row]:
    # Damaged copies are read again each day.
    ImageLocation.objects.damaged().update(verified_at=timezone.now())
    for title, run in (
        ("reaper, nothing to do", reaper.end_dead_transfers),
        (f"reaper, {DEAD} dead transfers", _reap),
        ("scrubber, nothing to do", lifecycle.scrub_due),
        (f"scrubber, {DEAD} due images", _scrub),
        (f"verification, choice of {DEAD} due copies", _choose_copies),
        ("verification, nothing to do", _choose_no_copy),
        ("objects to remove, nothing to do", lifecycle.remove_due),
        ("purge, nothing to do", purge.purge_excess),
        ("published tree, a changed family", families.renew_one),
        ("published tree, as a whole", partial(renewal.renew, "", whole=True)),
        ("count of the catalogue", overview._count),
        ("metrics", lambda: [*metrics._catalogue()]),
        ("quotas of all projects", partial(fullest_projects.above, 80)),
        ("reconcile, rows", _check_rows),
        ("reconcile, histories", lambda: sum(1 for _ in broken_histories())),
    ):
        yield Row("worker", f"worker: {title}", run)


def _reap() -> None:
    """End the transfers of images that nobody sends data to any more."""
    queued = Image.objects.filter(status=Status.QUEUED).order_by("-created_at", "-id")
    ids = list(queued.values_list("pk", flat=True)[:DEAD])
    Image.objects.filter(pk__in=ids).update(status=Status.SAVING)
    long_ago = timezone.now() - timedelta(days=1)
    Transfer.objects.bulk_create(
        Transfer(
            image_id=pk,
            kind=TransferKind.UPLOAD,
            store="local",
            key=pk,
            worker="bench",
            heartbeat_at=long_ago,
        )
        for pk in ids
    )
    assert len(reaper.end_dead_transfers()) == DEAD
    Transfer.objects.filter(image__in=ids).update(cleaned=True)


def _scrub() -> None:
    oldest = Image.objects.in_trash().order_by("deleted_at", "pk")
    ids = list(oldest.values_list("pk", flat=True)[:DEAD])
    Image.objects.filter(pk__in=ids).update(deleted_at="2020-01-01T00:00Z")
    assert len(lifecycle.scrub_due()) == DEAD


@override_settings(IMAGECATALOG_VERIFY_EVERY=86400)
def _choose_copies() -> None:
    """Take over copies, without reading them, and give them back."""
    claims = [scheduled_verification._next(()) for _ in range(DEAD)]
    held = [claim._copy.location for claim in claims if claim]
    assert len(held) == DEAD
    ImageLocation.objects.filter(pk__in=held).update(verify_after=None)


@override_settings(IMAGECATALOG_VERIFY_EVERY=100 * 365 * 86400)
def _choose_no_copy() -> None:
    assert scheduled_verification._next(()) is None


def _check_rows() -> int:
    return sum(1 for check in ROW_CHECKS for _ in check())
