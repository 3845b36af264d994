from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0032_backup_report'),
    ]

    operations = [
        migrations.AddField(
            model_name='image',
            name='digests_wanted_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='image',
            name='source_digests',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
    ]
