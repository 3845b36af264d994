from django.db import migrations, models

from images.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('images', '0023_deleted_images'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='transfer',
            index=models.Index(models.F('started_at'), models.F('task_id'), condition=models.Q(('task_id__isnull', False)), name='transfer_task'),
        ),
    ]
