"""Let bulk changes be undone and removed in batches, and let jobs keep their furthest progress."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0045_concurrent_indexes")]

    operations = [
        migrations.AddField("bulkchange", "undoes", models.UUIDField(null=True)),
        migrations.AddField(
            "bulkchange",
            "discarded",
            models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddField("bulkrow", "changed", models.JSONField(null=True)),
        migrations.AddField(
            "job",
            "progress_furthest",
            models.BigIntegerField(default=0, db_default=0),
        ),
    ]
