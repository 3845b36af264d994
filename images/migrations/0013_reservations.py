from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0011_permission_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='transfer',
            name='bytes_reserved',
            field=models.BigIntegerField(null=True),
        ),
    ]
