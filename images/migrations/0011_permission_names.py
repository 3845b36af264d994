"""Plain names of permissions, also in existing rows; no table and no column changes."""

from typing import Any

from django.db import migrations, models

NAMES = {  # codename: (old, new)
    "fail_image": (
        "Can end what is being brought into image",
        "Can cancel transfer of image",
    ),
    "scrub_image": ("Can delete image for good", "Can delete image permanently"),
}


def _set_names(apps: Any, alias: str, version: int) -> None:
    # Django creates permissions after a migration, but never renames existing ones.
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    for codename, names in NAMES.items():
        permissions.filter(
            content_type__app_label="images",
            content_type__model="image",
            codename=codename,
        ).update(name=names[version])


def rename(apps: Any, schema_editor: Any) -> None:
    """Give existing permissions their new names."""
    _set_names(apps, schema_editor.connection.alias, 1)


def rename_back(apps: Any, schema_editor: Any) -> None:
    """Give existing permissions their old names."""
    _set_names(apps, schema_editor.connection.alias, 0)


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('images', '0010_names'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='image',
            options={'permissions': [('deactivate_image', 'Can deactivate image'), ('reactivate_image', 'Can reactivate image'), ('fail_image', 'Can cancel transfer of image'), ('restore_image', 'Can restore deleted image'), ('scrub_image', 'Can delete image permanently'), ('upload_image', 'Can upload data of image')], 'verbose_name': 'image', 'verbose_name_plural': 'images'},
        ),
        migrations.RunPython(rename, rename_back),
        # Help texts only: these alter no column.
        migrations.AlterField(
            model_name='statistics',
            name='seconds',
            field=models.FloatField(help_text='duration of the count'),
        ),
        migrations.AlterField(
            model_name='transfer',
            name='error',
            field=models.TextField(blank=True, help_text='message for users'),
        ),
        migrations.AlterField(
            model_name='transfer',
            name='source',
            field=models.TextField(blank=True, help_text='URL of a web download'),
        ),
        migrations.AlterField(
            model_name='transfer',
            name='worker',
            field=models.CharField(help_text='name of the process', max_length=255),
        ),
    ]
