"""Creation and protection of the data folder, and of the secret key in it.

If the file system fails, the error says in one sentence what failed, for which user, and what to
do.
"""

from __future__ import annotations

import errno
import logging
import os
import pwd
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from images import outages

log = logging.getLogger(__name__)

KEY_FILE = "secret-key"  # in the data folder, and in backups
FOLDER_MODE = 0o750
NEW_FILE_MODE = 0o600
FILE_MODE = 0o640  # at most, of an existing file: the group can be a backup's
SHORTEST_KEY = 32  # characters
FEWEST_DIFFERENT = 5
WEAK_KEY = (
    f"IMAGECATALOG_SECRET_KEY can be guessed: it has fewer than {SHORTEST_KEY} characters, or "
    f"fewer than {FEWEST_DIFFERENT} different ones. Use a random one (openssl rand -base64 48), "
    "or leave the variable unset to have one generated."
)
ADVICE = {
    errno.ENOSPC: "Free space on its disk.",
    errno.EDQUOT: "Free space on its disk.",
    errno.EROFS: "Mount its disk writable, or set IMAGECATALOG_DATA_DIR to another folder.",
}


def of_user() -> Path:
    """Return the default data folder of an installed service, for the user of this process.

    For root, and for a user without a home folder, it is ``/var/lib/imagecatalog``. For others
    it is in the user's folder for state, see
    https://specifications.freedesktop.org/basedir-spec/.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # to be ignored, the specification says
        state = os.path.expanduser("~/.local/state")
    if os.geteuid() == 0 or not os.path.isabs(state):  # a user who has no home
        return Path("/var/lib/imagecatalog")
    return Path(state) / "imagecatalog"


def prepare() -> None:
    """Create the data folder and the SQLite database's file, and remove the access of other users.

    The owner's group can keep read access. With PostgreSQL only the folder is created. Raises
    ImproperlyConfigured if the file system refuses it.
    """
    prepare_folder()
    if connection.vendor == "sqlite":
        database = Path(connection.settings_dict["NAME"])
        with explained(database):
            # SQLite gives its other files the mode of this one.
            os.close(os.open(database, os.O_WRONLY | os.O_CREAT, NEW_FILE_MODE))
        for suffix in ("", "-wal", "-shm"):
            _restrict(Path(f"{database}{suffix}"), FILE_MODE)


def prepare_folder() -> None:
    """Create the data folder, and remove the access of other users; the owner's group can read it.

    Raises ImproperlyConfigured if the file system refuses it.
    """
    folder = settings.IMAGECATALOG_DATA_DIR
    _make(folder)
    _restrict(folder, FOLDER_MODE)


def database_name() -> str:
    """Return the name of the database for messages to operators; for SQLite it has the file's path."""
    if connection.vendor == "sqlite":
        return f"the database {connection.settings_dict['NAME']}"
    return "the database"


def secret_key(path: Path) -> str:
    """Return the secret key in the file ``path``; if there is no such file, create it with a new key.

    Of several processes that start at once, one writes the file and the others read it. Raises
    ImproperlyConfigured if the file cannot be read or created.
    """
    _make(path.parent)
    with explained(path):
        if not path.exists():
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as fresh:
                fresh.write(secrets.token_urlsafe(50))
                fresh.flush()
                with suppress(FileExistsError):
                    os.link(fresh.name, path)
                    log.info("a new secret key was made: %s", path)
        return path.read_text()


def is_weak(key: str) -> bool:
    """Return whether a secret key is so short or simple that it can be guessed."""
    return len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_DIFFERENT


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A context manager that turns an OSError about ``path`` into ImproperlyConfigured.

    The new message says what failed, for which user, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise ImproperlyConfigured(sentence(path, error)) from error


def sentence(path: Path, error: OSError) -> str:
    """Return a message for operators: what failed at a path, for which user, and what to do."""
    name = user()
    advice = ADVICE.get(
        error.errno or 0,
        f"Let {name} own the folder (chown -R {name} {path.parent}), or set "
        "IMAGECATALOG_DATA_DIR to a folder that this user may write.",
    )
    return f"The user {name} cannot use {path}: {error.strerror}. {advice}"


def database_sentence(error: Exception) -> str:
    """Return a message for operators: why the database cannot be used, and what to do."""
    name = database_name()
    reason = outages.reason(error)
    if "disk is full" in reason:
        return f"The user {user()} cannot use {name}: {reason}. {ADVICE[errno.ENOSPC]}"
    program = os.path.basename(sys.argv[0])
    if missing := _missing_path():
        return f"{missing} does not exist. {creation_advice(f'{program} serve')}"
    return (
        f"Check DATABASE_URL. `{program} migrate` prepares a new database; `{program} serve` "
        f"does so too.\nThe user {user()} cannot use {name}: {reason}"
    )


def creation_advice(command: str) -> str:
    """Return advice for a missing SQLite database; ``command`` is the command that starts the service."""
    folder = Path(connection.settings_dict["NAME"]).parent
    if folder != Path(settings.IMAGECATALOG_DATA_DIR) and _is_missing(folder):
        return f"Make the folder {folder}, or correct DATABASE_URL."
    return f"`{command}` makes it; or set IMAGECATALOG_DATA_DIR or DATABASE_URL."


def _missing_path() -> str:
    """Return a phrase that names the missing SQLite database, or its folder if that is missing.

    Empty if both exist, or the database is not SQLite.
    """
    if connection.vendor != "sqlite":
        return ""
    file = Path(connection.settings_dict["NAME"])
    if _is_missing(file.parent):
        return f"The folder {file.parent}"
    return f"The database {file}" if _is_missing(file) else ""


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass  # perhaps it exists, but this user must not know
    return False


def user() -> str:
    """Return the name of the operating system's user who runs this process."""
    return name_of(os.geteuid())


def name_of(uid: int) -> str:
    """Return the name of the operating system's user ``uid``; if it has no name, the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make(folder: Path) -> None:
    with explained(folder):
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def _restrict(path: Path, mode: int) -> None:
    # Without the right to do it, or without the file, there is nothing to be done.
    with suppress(PermissionError, FileNotFoundError):
        before = path.stat().st_mode & 0o7777
        if before & ~mode:
            path.chmod(before & mode)
