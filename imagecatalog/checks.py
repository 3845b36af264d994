"""The system checks of the catalogue, which Django runs before every command.

Each check returns warnings or errors, and an empty list if nothing is wrong.
"""

from __future__ import annotations

import http.cookies
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from imagecatalog import env
from images import access, data_folder, db, outages, property_schema, stores
from images.admin import branding
from images.imports import remotes
from images.management import schema
from images.models import ImageLocation
from images.operations import unconfigured_stores
from images.publishing import signing
from images.search import index
from images.stores.local import LocalStore


def variables(**options: Any) -> list[Warning]:
    """Return a warning for each set variable ``IMAGECATALOG_*`` that the service does not know."""
    return [
        Warning(
            f"{name} is set, but there is no such variable.",
            hint=f"Did you mean {' or '.join(meant)}?" if meant else None,
            id="imagecatalog.W001",
        )
        for name, meant in env.misspelt().items()
    ]


def places(**options: Any) -> list[CheckMessage]:
    """Check the configuration of the stores, and whether their folders can be written.

    Returns an error for a wrong configuration, else a warning for each folder that cannot be
    written.
    """
    try:
        configured = stores.configured()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="imagecatalog.E001")]
    staging = settings.IMAGECATALOG_STAGING_STORE
    if staging and staging not in {store.id for store in configured}:
        message = f"IMAGECATALOG_STAGING_STORE: {staging!r} is not the id of a store."
        hint = "Name a store of IMAGECATALOG_STORES, or leave the variable unset."
        return [Error(message, hint=hint, id="imagecatalog.E006")]
    obstacles = (
        (store, _obstacle(store.root))
        for store in configured
        if isinstance(store, LocalStore)
    )
    return [
        Warning(
            f"The store {store.id!r} cannot keep data: this user cannot write to "
            f"{store.root}: {obstacle}.",
            hint="Create the folder, and make the user who runs the service its owner; or name "
            "a folder on a disk in IMAGECATALOG_STORES.",
            id="imagecatalog.W002",
        )
        for store, obstacle in obstacles
        if obstacle
    ]


def rules(**options: Any) -> list[CheckMessage]:
    """Return an error if the policy file cannot be read.

    Without this check, the service would start although the rules of the file do not apply.
    """
    return _readable(access.overrides, "imagecatalog.E002")


def protections(**options: Any) -> list[CheckMessage]:
    """Return an error if the file that protects custom properties of images cannot be read."""
    return _readable(access.protections, "imagecatalog.E007")


def properties(**options: Any) -> list[CheckMessage]:
    """Return an error if the file with the JSON schema of custom image properties cannot be read."""
    return _readable(property_schema.described, "imagecatalog.E003")


def _readable(read: Callable[[], object], check_id: str) -> list[CheckMessage]:
    try:
        read()
    except ImproperlyConfigured as error:
        return [Error(str(error), id=check_id)]
    return []


def remote_services(**options: Any) -> list[CheckMessage]:
    """Return an error if the settings of remote image services are wrong or unreadable.

    They are IMAGECATALOG_REMOTES and the files that it names.
    """
    return _readable(remotes.check, "imagecatalog.E008")


def logo(**options: Any) -> list[CheckMessage]:
    """Return a warning if the file with the logo of the admin cannot be shown."""
    path = Path(settings.IMAGECATALOG_SITE_LOGO)
    if not settings.IMAGECATALOG_SITE_LOGO:
        return []
    known = ", ".join(sorted(branding.MEDIA_TYPES))
    if path.suffix.lower() not in branding.MEDIA_TYPES:
        problem = f"is not an image. Name a file that ends with one of {known}."
    elif not (path.is_file() and os.access(path, os.R_OK)):
        problem = "cannot be read. Name a file, or leave the variable unset."
    elif path.stat().st_size > branding.LARGEST:
        problem = "has more than 1 MiB. Name a smaller file."
    else:
        return []
    message = f"IMAGECATALOG_SITE_LOGO: {path} {problem}"
    return [Warning(message, id="imagecatalog.W015")]


def certificates(**options: Any) -> list[CheckMessage]:
    """Return an error if the folder with the certificates for image signatures cannot be read.

    Without the certificates, every signed image would be refused.
    """
    folder = settings.IMAGECATALOG_SIGNATURE_CERTIFICATES
    if not folder or (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):
        return []
    return [
        Error(
            f"IMAGECATALOG_SIGNATURE_CERTIFICATES: {folder} is not a folder that can be "
            "read. Name one, or leave the variable unset.",
            id="imagecatalog.E004",
        )
    ]


def ldap_ca_file(**options: Any) -> list[CheckMessage]:
    """Return an error if the file with the LDAP directory's certificate authorities cannot be read.

    Every sign-in with the directory would fail then.
    """
    path = settings.IMAGECATALOG_LDAP_CA_FILE
    if not path or (os.path.isfile(path) and os.access(path, os.R_OK)):
        return []
    return [
        Error(
            f"IMAGECATALOG_LDAP_CA_FILE: {path} is not a file that can be read. Name one, or "
            "leave the variable unset.",
            id="imagecatalog.E009",
        )
    ]


def publish_key(**options: Any) -> list[CheckMessage]:
    """Return an error if GnuPG, or the key that signs what the service publishes, is missing.

    Also returns an error if a file of the key cannot be read. Signs nothing: the command `doctor`
    tries whether the key works.
    """
    folder = settings.IMAGECATALOG_PUBLISH_KEY
    if not folder or settings.IMAGECATALOG_PUBLISH == "off":
        return []
    problem = signing.problem(Path(folder))
    return [Error(problem, id="imagecatalog.E011")] if problem else []


def interpreter(**options: Any) -> list[Warning]:
    """Return a warning if this Python parses cookies in quadratic time (CVE-2024-7592).

    Looks for the fix and not for the version of Python, because Linux distributions add the fix to
    older versions, too.
    """
    if sys.version_info >= (3, 13) or hasattr(http.cookies, "_unquote_sub"):
        return []
    return [
        Warning(
            f"Python {platform.python_version()} parses cookies too slowly (CVE-2024-7592).",
            hint="Update to Python 3.11.10, 3.12.6, 3.13 or newer.",
            id="imagecatalog.W003",
        )
    ]


def needed_stores(
    databases: Collection[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """Return a warning if images have data in stores that are not configured.

    Returns an error if the database cannot be used. Without ``databases`` (Django passes it only to
    commands that use the database) nothing is checked.
    """
    if not databases:
        return []
    try:
        needed = unconfigured_stores.images_by_store() if _has_tables() else {}
    except DatabaseError as error:
        message = f"The database cannot be used: {outages.reason(error)}"
        hint = "Check DATABASE_URL, and whether the database is running."
        return [Error(message, hint=hint, id="imagecatalog.E005")]
    except ImproperlyConfigured:
        return []  # reported by `places`
    if not needed:
        return []
    return [
        Warning(
            "Images need stores that are not configured: "
            f"{unconfigured_stores.summary(needed)}.",
            hint="Add the stores to IMAGECATALOG_STORES.",
            id="imagecatalog.W004",
        )
    ]


def search_index(
    databases: Collection[str] | None = None, **options: Any
) -> list[Warning]:
    """Return a warning if the database has no index for the search of images in the admin.

    Without ``databases`` (Django passes it only to commands that use the database) nothing is
    checked.
    """
    try:
        if not databases or not _has_tables() or index.exists() or schema.pending():
            return []
    except DatabaseError:
        return []  # reported by `needed_stores`
    reasons = {
        "postgresql": "Install PostgreSQL's extension pg_trgm (on Debian it comes with the server), "
        "let the owner of the database create it, and run the command migrate.",
        "sqlite": "Use a Python whose SQLite has FTS5 with trigrams (3.34 or newer), and run the "
        "command migrate.",
    }
    return [
        Warning(
            "The search in the browser admin has no index: it reads all images.",
            hint=reasons[connection.vendor],
            id="imagecatalog.W016",
        )
    ]


def secret_key(**options: Any) -> list[Warning]:
    """Return warnings if secret keys of the service are easy to guess.

    One warning is about IMAGECATALOG_SECRET_KEY, the other about IMAGECATALOG_SECRET_KEY_FALLBACKS,
    the earlier keys. The command `serve` does not start a new catalogue with such a key.
    """
    warnings = []
    configured = settings.IMAGECATALOG_SECRET_KEY
    if configured and data_folder.is_weak(configured):
        hint = "Everyone has to sign in again after the change."
        warnings.append(
            Warning(data_folder.WEAK_KEY, hint=hint, id="imagecatalog.W010")
        )
    if any(map(data_folder.is_weak, settings.SECRET_KEY_FALLBACKS)):
        warnings.append(
            Warning(
                "IMAGECATALOG_SECRET_KEY_FALLBACKS has a key that can be guessed.",
                hint="Remove it: everyone who signed in with it has to sign in again.",
                id="imagecatalog.W014",
            )
        )
    return warnings


def public_url(**options: Any) -> list[Warning]:
    """Warn about a public URL without TLS: browsers send the admin's cookies unencrypted then."""
    if settings.IMAGECATALOG_PUBLIC_URL.startswith("https:"):
        return []
    return [
        Warning(
            "IMAGECATALOG_PUBLIC_URL is not an https URL: browsers send the cookies of the admin "
            "over connections without TLS, too.",
            hint="Set it to the https URL at which clients reach the service.",
            id="imagecatalog.W013",
        )
    ]


def secret_files(**options: Any) -> list[Warning]:
    """Return a warning for each secret file that every user of the machine can read.

    A secret file has the value of a variable ``NAME``; the variable ``NAME_FILE`` names the file.
    Files below /run are not checked: containers mount their secrets there, and have no other users.
    """
    readable = [
        (name, path)
        for name, path in env.files().items()
        if path.stat().st_mode & stat.S_IROTH and not path.is_relative_to("/run")
    ]
    return [
        Warning(
            f"{name}: every user of this machine can read the file {path}.",
            hint=f"chmod o-rwx {path}",
            id="imagecatalog.W012",
        )
        for name, path in readable
    ]


def owner(**options: Any) -> list[Warning]:
    """Return a warning if root runs the command but the data folder belongs to another user.

    The service runs as that user, and could not use the files that root creates.
    """
    folder = settings.IMAGECATALOG_DATA_DIR
    if os.geteuid() != 0 or not os.path.exists(folder):
        return []
    uid = folder.stat().st_uid
    if uid == 0:
        return []
    name = data_folder.name_of(uid)
    return [
        Warning(
            f"The data folder {folder} belongs to the user {name}, and this command runs as "
            "root: the service could not use the files that it creates.",
            hint=f"Run it as that user: sudo -u {name} …",
            id="imagecatalog.W011",
        )
    ]


def _has_tables() -> bool:
    table = ImageLocation._meta.db_table
    return db.exists() and table in connection.introspection.table_names()


def _obstacle(folder: Path) -> str:
    """Return the reason why this user cannot write in a folder; ``""`` if the user can.

    For a missing folder, it is the reason why the user cannot create the folder. To find out, a
    temporary file is written, because os.access says that root can write even in /proc.
    """
    nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return ""
    except OSError as error:
        return error.strerror or str(error)
