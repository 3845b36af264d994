from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0023_deleted_images'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='transfer',
            index=models.Index(models.F('started_at'), models.F('task_id'), condition=models.Q(('task_id__isnull', False)), name='transfer_task'),
        ),
    ]
