"""Index images by size and by the time of their last change, for lists that are sorted by them.

In PostgreSQL, the index by size puts images without a size first, as in SQLite, so that it gives
the order of a sorted list. Deleted images are in it too: filters look for their sizes.
"""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import F, Q

from images.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("images", "0046_bulk_undo")]

    operations = [
        AddIndexConcurrently(
            "image",
            models.Index(fields=["size", "created_at", "id"], name="image_by_size"),
            in_postgresql=models.Index(
                F("size").asc(nulls_first=True),
                "created_at",
                "id",
                name="image_by_size",
            ),
        ),
        AddIndexConcurrently(
            "image",
            models.Index(
                fields=["updated_at"],
                name="image_changed",
                condition=Q(deleted_at=None),
            ),
        ),
    ]
