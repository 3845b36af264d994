from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0013_reservations'),
    ]

    operations = [
        migrations.CreateModel(
            name='WorkerReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reported_at', models.DateTimeField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
