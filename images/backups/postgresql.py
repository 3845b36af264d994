"""The PostgreSQL database in a backup: an archive of pg_dump, and a copy of the table of transfers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from django.db import ProgrammingError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.conninfo import make_conninfo

from images import db, outages
from images.backups import BackupError, DamagedBackup
from images.backups.contents import (
    REMOVED_SECRET,
    TRANSFERS,
    Facts,
    NeededObject,
    facts,
    needed_objects,
    opened_postgresql,
    pause_workers,
)
from images.backups.files import BLOCK, create_file

FILE: Final = "database.dump"
# Apart from the archive, because pg_dump cannot leave a column out.
TRANSFERS_FILE: Final = "transfers.copy"
# The objects that the database needs: a purge may remove rows before they are copied.
OBJECTS_FILE: Final = "objects.jsonl"
REPLACED: Final = (
    "catalogue_replaced_"  # the beginning of the names of replaced schemas
)
# Of a connection. The programs of an older release refuse those that they do not know.
PARAMETERS: Final = {
    *("host", "hostaddr", "port", "dbname", "user", "service", "passfile", "options"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "target_session_attrs"),
}
# Of the search. A server may lack the extension, and only its owner may create or comment on it.
LEFT_OUT: Final = (db.SEARCH_EXTENSION, db.SEARCH_INDEX)
SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def dump(folder: Path) -> Facts:
    """Write the service's database into files in the folder of a backup.

    The secrets of transfers are left out. All files have the content of one moment; other users of
    the database do not wait. Returns figures about the content of the database. Raises BackupError
    if pg_dump is missing, older than the server, or fails.
    """
    program = _program("pg_dump")
    for name in (FILE, TRANSFERS_FILE, OBJECTS_FILE):
        os.close(create_file(folder / name))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SNAPSHOT)
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        _run(
            program,
            connection,
            "--format=custom",
            f"--file={folder / FILE}",
            f"--snapshot={snapshot}",
            f"--exclude-table-data={TRANSFERS}",
            f"--exclude-schema={REPLACED}*",
        )
        _write_transfers(cursor, folder / TRANSFERS_FILE)
        with (folder / OBJECTS_FILE).open("w") as file:
            for row in needed_objects(connection):
                file.write(json.dumps(row) + "\n")
        return facts(connection)


def needed(backup: Path) -> Iterator[NeededObject]:
    """Yield the stored objects to which the database in a backup refers."""
    with (backup / OBJECTS_FILE).open() as file:
        for line in file:
            yield NeededObject._make(json.loads(line))


def _write_transfers(cursor: Any, path: Path) -> None:
    columns = connection.introspection.get_table_description(cursor, TRANSFERS)
    names = [column.name for column in columns]
    kept = f"CASE WHEN secret = '' THEN '' ELSE '{REMOVED_SECRET}' END AS secret"
    selected = ", ".join(kept if name == "secret" else name for name in names)
    with path.open("wb") as file:
        file.write((",".join(names) + "\n").encode())
        with cursor.copy(
            f"COPY (SELECT {selected} FROM {TRANSFERS}) TO STDOUT"
        ) as copy:
            for block in copy:
                file.write(block)


@contextmanager
def restored_for_a_test(backup: Path) -> Iterator[BaseDatabaseWrapper]:
    """A context manager that restores a backup's database into a new one, and yields the new database.

    The new database is on the service's server, and is dropped at the end. Raises DamagedBackup if
    the restore fails, and BackupError if it is not possible: the user of the service is not allowed
    to create databases, or pg_restore is missing or older than the server.
    """
    name = f"catalogue_verify_{uuid4().hex}"
    try:
        _execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    except ProgrammingError as error:
        raise BackupError(
            "A database for the test cannot be created on the server: "
            f"{outages.reason(error)} Allow it (ALTER ROLE … CREATEDB), or compare only the "
            "checksums with --quick."
        ) from error
    try:
        with opened_postgresql(name) as database:
            _restore_into(database, backup, "This is a test.")
            yield database
    finally:
        _execute(f'DROP DATABASE "{name}"')


def replace(suffix: str) -> None:
    """Move the present tables of the service's database into a schema of another name.

    ``suffix`` is the end of that name. A new, empty schema replaces the old one. Raises BackupError
    if the user of the service is not allowed to do that.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            (schema,) = cursor.fetchone()
            cursor.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{REPLACED}{suffix}"')
            cursor.execute(f'CREATE SCHEMA "{schema}"')
    except ProgrammingError as error:
        raise BackupError(
            f"The tables of the catalogue cannot be put aside: {outages.reason(error)} Create a "
            "new, empty database, and name it in DATABASE_URL."
        ) from error


def restore(backup: Path, reason: str) -> None:
    """Restore the database of a backup into the service's database, which must be empty.

    The background workers are paused for ``reason`` before any of them can use the database. Raises
    DamagedBackup if the restore fails, and BackupError if pg_restore cannot be used.
    """
    with opened_postgresql(connection.settings_dict["NAME"]) as database:
        _restore_into(database, backup, reason)


def _restore_into(database: BaseDatabaseWrapper, backup: Path, reason: str) -> None:
    program = _program("pg_restore")
    options = "--no-owner", "--no-privileges", "--exit-on-error"
    archive = str(backup / FILE)
    # Before the program runs: a server that is away is no fault of the backup.
    database.ensure_connection()
    try:
        with tempfile.NamedTemporaryFile("w") as chosen:
            chosen.write(_contents(program, archive))
            chosen.flush()
            use = *options, f"--use-list={chosen.name}"
            # Constraints and indexes come last: rows refer to transfers.
            first = "--section=pre-data", "--section=data"
            _run(program, database, *use, *first, archive)
            pause_workers(database, reason)
            _read_transfers(database, backup / TRANSFERS_FILE)
            _run(program, database, *use, "--section=post-data", archive)
    except BackupError as error:
        raise DamagedBackup(f"The database cannot be restored: {error}") from error
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")


def _contents(program: str, archive: str) -> str:
    """Return the list of the entries of an archive that are to be restored, for pg_restore.

    The PostgreSQL extension that the search of images uses, and its index, are left out, because a
    server can lack the extension, or not allow the service's user to create it. Raises BackupError
    if the archive cannot be read.
    """
    entries = _output([program, "--list", archive]).splitlines(keepends=True)
    return "".join(line for line in entries if not set(LEFT_OUT) & set(line.split()))


def _read_transfers(database: BaseDatabaseWrapper, path: Path) -> None:
    with path.open("rb") as file, database.cursor() as cursor:
        columns = file.readline().decode().strip()
        with cursor.copy(f"COPY {TRANSFERS} ({columns}) FROM STDIN") as copy:
            while block := file.read(BLOCK):
                copy.write(block)


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _program(name: str) -> str:
    """Return the path of a client program of PostgreSQL, such as ``pg_dump``.

    Raises BackupError if the program is not installed, or older than the server.
    """
    path = shutil.which(name)
    if path is None:
        raise BackupError(
            f"{name} is not installed. Install the client programs of PostgreSQL (on Debian "
            "the package postgresql-client)."
        )
    told = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\) (\d+)", told)
    connection.ensure_connection()
    server = connection.connection.info.server_version // 10000
    if found is None or int(found[1]) < server:
        raise BackupError(
            f"{path} is too old for the server: {told.strip() or 'its version is unknown'}, and "
            f"the server is PostgreSQL {server}. Install the programs of PostgreSQL {server} or "
            "newer, and put them first in PATH."
        )
    return path


def _run(program: str, database: BaseDatabaseWrapper, *arguments: str) -> None:
    """Run a client program of PostgreSQL on a database, with these command-line arguments.

    Raises BackupError if the program fails.
    """
    database.ensure_connection()
    info = database.connection.info
    given = info.get_parameters()
    dsn = make_conninfo(**{name: given[name] for name in PARAMETERS & given.keys()})
    command = [program, f"--dbname={dsn}", "--no-password", *arguments]
    _output(command, PGPASSWORD=info.password)  # not where `ps` shows it


def _output(command: list[str], **variables: str) -> str:
    """Run a program, also with these environment variables, and return its standard output.

    Raises BackupError if the program fails.
    """
    env = os.environ | variables
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        name = os.path.basename(command[0])
        reason = " ".join(done.stderr.split())[-500:] or f"exit code {done.returncode}"
        raise BackupError(f"{name} failed: {reason}")
    return done.stdout
