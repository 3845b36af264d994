from django.db import migrations, models

from images.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('images', '0022_shipped_namespaces'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='image',
            index=models.Index(condition=models.Q(('purged', False), ('status', 'deleted')), fields=['owner', 'deleted_at'], name='image_deleted'),
        ),
    ]
