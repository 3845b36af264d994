"""Saved filters and columns of the list of images."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def _user(field: Any, **options: Any) -> Any:
    return field(
        db_constraint=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0042_bulk_changes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ListOptions",
            fields=[
                (
                    "user",
                    _user(models.OneToOneField, primary_key=True, serialize=False),
                ),
                (
                    "columns",
                    models.JSONField(
                        db_default=models.Value([], models.JSONField()), default=list
                    ),
                ),
                (
                    "page_size",
                    models.PositiveSmallIntegerField(db_default=25, default=25),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SavedFilter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("name", models.CharField(max_length=64, verbose_name="name")),
                ("query", models.TextField()),
                ("user", _user(models.ForeignKey, db_index=False)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "name"), name="one_saved_filter_of_a_name"
                    )
                ],
            },
        ),
    ]
