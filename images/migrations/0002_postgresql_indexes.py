"""Indexes for PostgreSQL only, created by SQL that other databases do not understand.

The JSON columns get GIN indexes for the lookup ``holds``. The index by name puts images without
a name first, as in SQLite, so that it gives the order of a sorted list.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

CREATE = (
    "CREATE INDEX image_properties ON images_image USING gin (properties jsonb_path_ops)",
    "CREATE INDEX image_tags ON images_image USING gin (tags jsonb_path_ops)",
    "DROP INDEX image_by_name",
    "CREATE INDEX image_by_name ON images_image (name NULLS FIRST, created_at, id)"
    " WHERE deleted_at IS NULL",
)
DROP = ("DROP INDEX image_properties", "DROP INDEX image_tags")


def create(apps: Any, schema_editor: Any) -> None:
    _execute(schema_editor, CREATE)


def drop(apps: Any, schema_editor: Any) -> None:
    _execute(schema_editor, DROP)


def _execute(schema_editor: Any, statements: tuple[str, ...]) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in statements:
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("images", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
