"""Add the permission to download the data of images in the browser admin."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("images", "0043_image_list")]

    operations = [
        migrations.AlterModelOptions(
            name="image",
            options={
                "permissions": [
                    ("deactivate_image", "Can deactivate image"),
                    ("reactivate_image", "Can reactivate image"),
                    ("fail_image", "Can cancel transfer of image"),
                    ("restore_image", "Can restore deleted image"),
                    ("scrub_image", "Can delete image permanently"),
                    ("upload_image", "Can upload data of image"),
                    ("download_image", "Can download data of image"),
                ],
                "verbose_name": "image",
                "verbose_name_plural": "images",
            },
        ),
    ]
