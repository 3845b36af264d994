from django.db import migrations, models

from images.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('identity', '0007_second_factor'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='signinevent',
            options={'ordering': ['-id'], 'verbose_name': 'sign-in event', 'verbose_name_plural': 'sign-in log'},
        ),
        AddIndexConcurrently(
            model_name='signinevent',
            index=models.Index(fields=['user', '-id'], name='sign_in_event_of_user'),
        ),
    ]
