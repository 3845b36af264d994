"""Index the images in the trash by project: for their numbers, and to make room in a full trash."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0044_download_permission")]

    operations = [
        migrations.AddIndex(
            "image",
            models.Index(
                condition=models.Q(("status", "pending_delete")),
                fields=["owner", "deleted_at"],
                name="image_trash_of_owner",
            ),
        ),
    ]
