import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0030_target_deletion'),
    ]

    operations = [
        migrations.CreateModel(
            name='WorkerPause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
                ('reason', models.TextField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
