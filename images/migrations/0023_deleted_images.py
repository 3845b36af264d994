from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0022_shipped_namespaces'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='image',
            index=models.Index(condition=models.Q(('purged', False), ('status', 'deleted')), fields=['owner', 'deleted_at'], name='image_deleted'),
        ),
    ]
