"""Let the database delete the target stores of a transfer that is deleted.

The previous release deletes transfers, but does not know the table of target stores. Django 5.2
cannot declare what a database does on deletion.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

TABLE = "images_transfertarget"
ON_DELETE = "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"


def cascade(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "postgresql":
            _replace_constraint(cursor, schema_editor)
        else:
            _replace_table(cursor, schema_editor)


def _replace_constraint(cursor: Any, schema_editor: Any) -> None:
    cursor.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass",
        [TABLE],
    )
    ((name,),) = cursor.fetchall()
    schema_editor.execute(
        f'ALTER TABLE {TABLE} DROP CONSTRAINT "{name}", ADD CONSTRAINT "{name}"'
        f" FOREIGN KEY (transfer_id) REFERENCES images_transfer (id) {ON_DELETE}"
    )


def _replace_table(cursor: Any, schema_editor: Any) -> None:
    # SQLite cannot change a constraint.
    cursor.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL"
        " ORDER BY type DESC",  # the table before its indexes
        [TABLE],
    )
    (table,), *indexes = cursor.fetchall()
    old = f"{TABLE}_old"
    schema_editor.execute(f"ALTER TABLE {TABLE} RENAME TO {old}")
    schema_editor.execute(table.replace("DEFERRABLE INITIALLY DEFERRED", ON_DELETE))
    schema_editor.execute(f"INSERT INTO {TABLE} SELECT * FROM {old}")
    schema_editor.execute(f"DROP TABLE {old}")
    for (index,) in indexes:
        schema_editor.execute(index)


class Migration(migrations.Migration):
    dependencies = [("images", "0029_digests")]
    operations = [migrations.RunPython(cascade, migrations.RunPython.noop)]
