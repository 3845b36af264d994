"""The database backend for SQLite, whose file is removed or replaced."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection

from imagecatalog.sqlite.base import DatabaseWrapper
from images import outages

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a database, whose name has what a URL would need quoted."""
    path = tmp_path / "a b?c#d%20.sqlite3"
    write(path, "first")
    return path


@pytest.fixture
def database(path: Path) -> Iterator[DatabaseWrapper]:
    database = DatabaseWrapper(
        {**connection.settings_dict, "NAME": str(path)}, DEFAULT_DB_ALIAS
    )
    yield database
    database.close()


def write(path: Path, name: str) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE image (name)")
        file.execute("INSERT INTO image VALUES (?)", [name])
    file.close()


def read(database: DatabaseWrapper) -> str:
    """The name in the database, read by the next request."""
    database.close_if_unusable_or_obsolete()
    with database.cursor() as cursor:
        name: str = cursor.execute("SELECT name FROM image").fetchone()[0]
    return name


def test_a_connection_does_not_go_on_in_a_file_that_was_removed(
    database: DatabaseWrapper, path: Path
) -> None:
    assert read(database) == "first"
    away = path.rename(path.with_suffix(".away"))

    with pytest.raises(OperationalError) as caught:
        read(database)

    assert outages.is_outage(caught.value)
    assert not path.exists()
    away.rename(path)
    assert read(database) == "first"


def test_a_database_that_was_restored_is_used_at_once(
    database: DatabaseWrapper, path: Path, tmp_path: Path
) -> None:
    assert read(database) == "first"
    write(tmp_path / "backup", "second")
    path.unlink()
    shutil.copy(tmp_path / "backup", path)

    assert read(database) == "second"


def test_a_connection_is_kept_while_its_file_is_there(
    database: DatabaseWrapper,
) -> None:
    read(database)
    first = database.connection

    read(database)

    assert database.connection is first
