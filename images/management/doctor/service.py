"""Checks of the background worker, the verification of stored data, Keystone and backups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from images import pause
from images.backups import BackupError, places
from images.backups.backup import begun_at
from images.console import iso
from images.management.doctor.result import FAIL, Result, fail, ok, warn
from images.models import ImageLocation
from images.operations import health, scheduled_verification
from images.operations.consistency import fixes
from images.units import counted

TIMEOUT = 5.0  # seconds
OLD = timedelta(days=2)
VALIDATING = {
    "service",
    "admin",
}  # with one of these roles Keystone lets a user check tokens


def worker() -> Iterator[Result]:
    """Yield whether a background worker runs, and a warning if the workers are paused."""
    problem, paused = health.problem(), pause.current()
    reported = "a background worker has reported"
    if problem:
        yield Result("worker", FAIL, problem)  # `problem` also says what to do
    elif not paused:
        yield ok("worker", reported)
    if paused:
        since = iso(paused["since"])
        state = f"the workers have been paused since {since}: {paused['reason']}"
        yield warn(
            "worker",
            state if problem else f"{reported}, but {state}",
            "Read the report of `image_reconcile`, then run `worker_resume`.",
        )


def maintenance() -> Iterator[Result]:
    """Yield a warning if the file ``maintenance`` takes this machine out of service; else nothing."""
    if health.is_taken_out():
        path = settings.IMAGECATALOG_DATA_DIR / health.MAINTENANCE
        yield warn(
            "maintenance",
            f"the file {path} exists, so load balancers send no requests to this machine",
            "Remove it when the maintenance is over.",
        )


def verification() -> Iterator[Result]:
    """Yield whether copies of images are damaged, and whether the schedule of verification is kept."""
    every, oldest = scheduled_verification.interval(), scheduled_verification.oldest()
    damaged = ImageLocation.objects.damaged().count()
    if damaged:
        yield fail(
            "damage",
            f"{counted(damaged, 'copy', 'copies')} in stores did not have the data of the image "
            "at the last verification",
            f"`image_reconcile` lists them. {fixes.DAMAGED}",
        )
    if not every:
        yield ok("verification", "IMAGECATALOG_VERIFY_EVERY is 0: there is no schedule")
    elif oldest and timezone.now() - oldest > 2 * every:
        yield warn(
            "verification",
            f"a copy was last verified at {iso(oldest)}, longer ago than twice "
            "IMAGECATALOG_VERIFY_EVERY",
            "Look for stores that cannot be read in the log of the worker, raise "
            "IMAGECATALOG_VERIFY_RATE, or extend IMAGECATALOG_VERIFY_HOURS.",
        )
    else:
        yield ok("verification", "the schedule is kept")


def keystone() -> Iterator[Result]:
    """Yield whether the service user can sign in to Keystone and check the tokens of other users.

    Yields nothing unless IMAGECATALOG_AUTH is ``keystone``.
    """
    if settings.IMAGECATALOG_AUTH != "keystone":
        return
    # Parts of the package that IMAGECATALOG_AUTH=keystone needs.
    from keystoneauth1 import exceptions
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session

    url, user = (
        settings.IMAGECATALOG_KEYSTONE_URL,
        settings.IMAGECATALOG_KEYSTONE_USERNAME,
    )
    project = settings.IMAGECATALOG_KEYSTONE_PROJECT_NAME
    sign_in = Password(
        auth_url=url,
        username=user,
        password=settings.IMAGECATALOG_KEYSTONE_PASSWORD,
        user_domain_id=settings.IMAGECATALOG_KEYSTONE_DOMAIN,
        project_name=project,
        project_domain_id=settings.IMAGECATALOG_KEYSTONE_DOMAIN,
    )
    try:
        roles = sign_in.get_access(Session(timeout=TIMEOUT)).role_names or []
    except exceptions.Unauthorized:
        yield fail(
            "keystone",
            f"{url} refuses the service user {user!r} in the project {project!r}",
            "Correct IMAGECATALOG_KEYSTONE_USERNAME, IMAGECATALOG_KEYSTONE_PASSWORD, "
            "IMAGECATALOG_KEYSTONE_PROJECT_NAME and IMAGECATALOG_KEYSTONE_DOMAIN.",
        )
        return
    except exceptions.SSLError as error:
        advice = (
            "If the certificate is of your own authority, name the file with the authority's "
            "certificate (PEM) in REQUESTS_CA_BUNDLE."
        )
        yield fail("keystone", str(error), advice)
        return
    except exceptions.ClientException as error:
        advice = "Start Keystone, or correct IMAGECATALOG_KEYSTONE_URL."
        yield fail("keystone", f"{url}: {error}", advice)
        return
    if VALIDATING.isdisjoint(roles):
        yield fail(
            "keystone",
            f"the service user {user!r} has the roles {', '.join(roles) or 'none'}, and cannot "
            "check the tokens of others",
            f"openstack role add --user {user} --project {project} service",
        )
    else:
        yield ok("keystone", f"{url} accepts the service user {user!r}")


def backups() -> Iterator[Result]:
    """Yield when the newest backup in IMAGECATALOG_BACKUP_DIR was made; a failure if it is too old.

    Also yields a failure if there is no backup, and a warning if the setting is empty.
    """
    folder = settings.IMAGECATALOG_BACKUP_DIR
    advice = "Run `backup` every day; `backup --help` explains it."
    if not folder:
        yield warn("backup", "IMAGECATALOG_BACKUP_DIR is not set", f"Set it. {advice}")
        return
    try:
        newest = next(reversed(places.of(folder).existing()), None)
    except BackupError as error:
        yield fail("backup", str(error), "Correct IMAGECATALOG_BACKUP_DIR.")
        return
    if newest is None:
        yield fail("backup", f"there is none in {folder}", advice)
        return
    begun = begun_at(newest)
    text = f"the newest is of {iso(begun)}"
    if timezone.now() - begun > OLD:
        yield fail("backup", text, advice)
    else:
        yield ok("backup", text)
