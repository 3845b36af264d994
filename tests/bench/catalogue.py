"""A catalogue of millions of images, written by a few statements inside the database.

As a program (``python -m tests.bench.catalogue FIRST LAST``) it writes with the project's settings.
The images have what those of a used catalogue have: 10,000 projects own them, each image has an
event, and each one with data has a location; some are in the trash, deleted, damaged or failed. 100
projects are members of 1,000 of the oldest images, and one image has 10,000 events.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from time import time
from typing import Any
from uuid import UUID

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = 10_000
SHARED, MEMBERS = 1_000, 100  # images, and the members of each
BUSY, EVENTS = 61, 10_000  # the number of an active image, and its events
EPOCH = 1_700_000_000  # when image 0 was created; each further one comes a second later

# SQL of the image with the number n; divisions are of integers.
IMAGE = "bench_id(n)"
CREATED = f"bench_time({EPOCH} + n)"
OWNER = f"'project-' || (n / 100 % {PROJECTS})"
STATUS = (
    "CASE WHEN n % 50 = 7 THEN 'pending_delete' WHEN n % 50 = 8 THEN 'deleted'"
    " WHEN n % 20 = 9 THEN 'queued' ELSE 'active' END"
)
HAS_DATA = "n % 50 <> 8 AND n % 20 <> 9"
FAILED = "n % 1000 = 9"
SIZE = "1048576 * (1 + n % 4096)"
TAGS = """'["bench", "decade-' || (n / 10 % 1000) || '", "even-' || (n % 2) || '"]'"""
PROPERTIES = (
    """'{"architecture": "x86_64", "os_distro": "'"""
    " || CASE n % 3 WHEN 0 THEN 'debian' WHEN 1 THEN 'fedora' ELSE 'ubuntu' END"
    """ || '", "os_version": "' || (n % 20) || '.04", "build_number": "' || n"""
    """ || '", "maintainer": "team-' || (n % 50) || '@example.org", "pipeline":"""
    """ "https://ci.example.org/pipelines/' || n || '"}'"""
)

# The functions of the statements: in PostgreSQL, and in SQLite.
POSTGRESQL_FUNCTIONS = """
    CREATE OR REPLACE FUNCTION bench_id(bigint) RETURNS text IMMUTABLE LANGUAGE sql
        AS 'SELECT md5($1::text)::uuid::text';
    CREATE OR REPLACE FUNCTION bench_time(bigint) RETURNS timestamptz IMMUTABLE
        LANGUAGE sql AS 'SELECT to_timestamp($1)';
    CREATE OR REPLACE FUNCTION bench_json(text) RETURNS jsonb IMMUTABLE LANGUAGE sql
        AS 'SELECT $1::jsonb'
"""


def image_id(number: int) -> str:
    """The id of an image."""
    digest = md5(str(number).encode(), usedforsecurity=False)
    return str(UUID(digest.hexdigest()))


def _sqlite_time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def directly(env: Mapping[str, str], first: int, last: int) -> None:
    """Write the images ``first`` to ``last - 1`` into the database that ``env`` names."""
    subprocess.run(
        [sys.executable, "-m", "tests.bench.catalogue", str(first), str(last)],
        env={**env, "DJANGO_SETTINGS_MODULE": "imagecatalog.settings"},
        cwd=ROOT,
        check=True,
        timeout=3600,
    )


def size() -> int:
    """The number of images that ``fill`` has written."""
    newest = _model("Image").objects.filter(deleted_at=None).order_by("-created_at")
    name = newest.values_list("name", flat=True).first()
    return int(name.rpartition("-")[2]) + 1 if name else 0


def fill(first: int, last: int) -> None:
    """Insert rows without indexes, make these again, and refresh the planner's statistics.

    Does nothing if there are ``last`` images already.
    """
    if first >= last:
        return
    is_postgresql = connection.vendor == "postgresql"
    tables = [model._meta.db_table for model, *_ in _images()]
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SET session_replication_role = replica")  # no foreign keys
            cursor.execute("SET maintenance_work_mem = '1GB'")
        else:
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute("PRAGMA synchronous = OFF")
        indexes = _indexes(cursor, tables)
        for name in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        if not is_postgresql:
            for event in ("insert", "update", "delete"):
                cursor.execute(f"DROP TRIGGER IF EXISTS images_searched_text_{event}")
        insert(first, last)
        for create in indexes.values():
            cursor.execute(create)
        call_command("migrate", verbosity=0)  # the index of the search
        cursor.execute("VACUUM ANALYZE" if is_postgresql else "ANALYZE")


def insert(first: int, last: int) -> None:
    """Insert the rows of the images ``first`` to ``last - 1``, and what each catalogue has."""
    is_new = not _model("Member").objects.exists()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTIONS)
        else:
            connection.connection.create_function("bench_id", 1, image_id)
            connection.connection.create_function("bench_time", 1, _sqlite_time)
            connection.connection.create_function("bench_json", 1, str)
        for row in _images():
            _insert(cursor, *row, first=first, last=last)
        for row in _once() if is_new else ():
            _insert(cursor, *row)


def _indexes(cursor: Any, tables: list[str]) -> dict[str, str]:
    """The indexes of these tables that are no constraints: name -> the statement that makes it."""
    query = {
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
        " AND sql IS NOT NULL AND tbl_name IN (SELECT value FROM json_each(%s))",
    }
    is_postgresql = connection.vendor == "postgresql"
    names = tables if is_postgresql else str(tables).replace("'", '"')
    cursor.execute(query[connection.vendor], [names])
    return dict(cursor.fetchall())


Rows = tuple[Any, dict[str, str], str]  # a model; column -> SQL of n; condition on n


def _model(name: str) -> Any:
    return apps.get_model(f"images.{name}")


def _images() -> list[Rows]:
    """Return the rows that each image has: a model, and SQL of the image's number ``n`` by column."""
    in_trash = f"bench_time({int(time())} - n % 3600)"  # of the last hour: not due
    digest = "replace(bench_id(n), '-', '')"
    image = {
        "id": IMAGE,
        "name": "'bench-' || n",
        "owner": OWNER,
        "visibility": "CASE WHEN n % 100 = 3 THEN 'public' WHEN n % 100 = 4 THEN"
        " 'community' WHEN n % 10 = 5 THEN 'shared' ELSE 'private' END",
        "status": STATUS,
        "status_before_delete": "CASE WHEN n % 50 = 7 THEN 'active' ELSE '' END",
        "size": f"CASE WHEN {HAS_DATA} THEN {SIZE} END",
        "checksum": f"CASE WHEN {HAS_DATA} THEN {digest} END",
        "os_hash_algo": f"CASE WHEN {HAS_DATA} THEN 'sha512' END",
        "os_hash_value": f"CASE WHEN {HAS_DATA} THEN"
        f" {digest} || {digest} || {digest} || {digest} END",
        "disk_format": "'raw'",
        "container_format": "'bare'",
        "tags": f"bench_json({TAGS})",
        "properties": f"bench_json({PROPERTIES})",
        "created_at": CREATED,
        "updated_at": CREATED,
        "deleted_at": f"CASE WHEN n % 50 = 7 THEN {in_trash}"
        f" WHEN n % 50 = 8 THEN {CREATED} END",
    }
    location = {
        "image_id": IMAGE,
        "store": "'local'",
        "key": IMAGE,
        "status": "CASE WHEN n % 50 = 7 THEN 'pending_delete' ELSE 'active' END",
        "created_at": CREATED,
        "verified_at": f"CASE WHEN n % 4 > 0 THEN {CREATED} END",
        "damage": "CASE WHEN n % 10000 = 6 THEN 'The MD5 differs.' ELSE '' END",
    }
    transfer = {
        "id": "bench_id(-n)" if connection.vendor == "sqlite" else "bench_id(-n)::uuid",
        "image_id": IMAGE,
        "kind": "'upload'",
        "status": "'failed'",
        "store": "'local'",
        "key": IMAGE,
        "cleaned": "n >= 0",
        "worker": "'bench'",
        "started_at": CREATED,
        "heartbeat_at": CREATED,
        "ended_at": CREATED,
        "error_code": "'interrupted'",
        "error": "'The client went away.'",
    }
    return [
        (_model("Image"), image, "n >= 0"),
        (_model("ImageLocation"), location, HAS_DATA),
        (_model("Event"), _event("n", STATUS), "n >= 0"),
        (_model("Transfer"), transfer, FAILED),
    ]


def _event(number: str, status: str) -> dict[str, str]:
    """Return the columns of the event of an image's creation; ``number`` is SQL for its number."""
    return {
        "image_id": f"bench_id({number})",
        "at": CREATED,
        "verb": "'create'",
        "to_status": status,
        "actor": "'user-' || (n % 1000)",
        "project": OWNER,
        "interface": "'v2'",
        "request_id": "'req-' || n",
    }


def _once() -> Iterator[tuple[Any, dict[str, str], str, int, int]]:
    """Yield the rows that a catalogue of any size has: projects, members and others."""
    project = {"id": "'project-' || n", "name": "'Project ' || n"}
    yield apps.get_model("identity.Project"), project, "n >= 0", 0, PROJECTS
    member = {
        "image_id": f"bench_id(10 * (n / {MEMBERS}) + 5)",
        "member": f"'project-' || ({PROJECTS} - 1 - n % {MEMBERS})",
        "status": "CASE WHEN n % 2 = 0 THEN 'accepted' ELSE 'pending' END",
    }
    yield _model("Member"), member, "n >= 0", 0, SHARED * MEMBERS
    changed = _event(str(BUSY), "'active'")
    changed |= {"verb": "'update'", "from_status": "'active'"}
    yield _model("Event"), changed, "n > 0", 0, EVENTS


def _insert(
    cursor: Any, model: Any, given: dict[str, str], where: str, first: int, last: int
) -> None:
    """Insert a row for each number from ``first`` to ``last - 1`` to which the condition applies."""
    columns, values = dict[str, str](), []
    for field in model._meta.concrete_fields:
        if field.attname in given:
            columns[field.column] = given[field.attname].replace("%", "%%")
        elif not field.primary_key and not field.has_db_default():
            columns[field.column] = "%s"
            values.append(field.get_db_prep_save(field.get_default(), connection))
    cursor.execute(
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
        f" WITH RECURSIVE numbers (n) AS (SELECT CAST({first} AS bigint)"
        f" UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {last})"
        f" SELECT {', '.join(columns.values())} FROM numbers"
        f" WHERE {where.replace('%', '%%')}",
        values,
    )


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]), int(sys.argv[2]))
