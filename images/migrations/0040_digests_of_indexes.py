"""Let the indexes of published trees keep the digests of their contents."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import migrations, models


def compute(apps: Any, schema_editor: Any) -> None:
    """Compute the digests of the present indexes, about ten for each tree."""
    indexes = apps.get_model("images", "PublishedIndex").objects
    for index in indexes.using(schema_editor.connection.alias).iterator(1):
        index.sha256 = hashlib.sha256(bytes(index.content)).hexdigest()
        index.save(update_fields=["sha256"])


class Migration(migrations.Migration):
    dependencies = [("images", "0039_retention")]

    operations = [
        migrations.AddField(
            "publishedindex", "sha256", models.CharField(max_length=64, db_default="")
        ),
        migrations.RunPython(compute, migrations.RunPython.noop),
    ]
