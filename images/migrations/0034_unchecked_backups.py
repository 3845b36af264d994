from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0033_known_digests'),
    ]

    operations = [
        migrations.AddField(
            model_name='backupreport',
            name='is_unchecked',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
