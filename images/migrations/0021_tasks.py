from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0020_import_method'),
    ]

    operations = [
        migrations.AddField(
            model_name='transfer',
            name='task_id',
            field=models.UUIDField(null=True, unique=True),
        ),
        migrations.AddField(
            model_name='transfer',
            name='task_user',
            field=models.CharField(blank=True, db_default='', max_length=255),
        ),
        migrations.AddField(
            model_name='transfer',
            name='task_project',
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.AddField(
            model_name='transfer',
            name='task_request',
            field=models.JSONField(null=True),
        ),
    ]
