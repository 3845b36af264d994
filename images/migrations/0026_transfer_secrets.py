"""Add a column for the encrypted secrets of open transfers; mask URL queries in ended transfers."""

from typing import Any

from django.db import migrations, models
from django.db.models import F, Value
from django.db.models.functions import Concat, StrIndex, Substr


def mask(apps: Any, schema_editor: Any) -> None:
    """Replace the queries of the URLs from which ended transfers got their data by ``***``."""
    transfers = apps.get_model("images", "Transfer").objects
    ended = transfers.using(schema_editor.connection.alias).filter(
        status__in=("done", "failed"), source__contains="?"
    )
    until = StrIndex("source", Value("?"))
    ended.update(source=Concat(Substr(F("source"), 1, until), Value("***")))


class Migration(migrations.Migration):

    dependencies = [
        ("images", "0025_image_copies"),
    ]

    operations = [
        migrations.AddField(
            model_name="transfer",
            name="secret",
            field=models.TextField(blank=True, db_default=""),
        ),
        migrations.AlterField(
            model_name="transfer",
            name="source",
            field=models.TextField(
                blank=True, help_text="URL of a web download, without its query"
            ),
        ),
        migrations.RunPython(mask, migrations.RunPython.noop),
    ]
