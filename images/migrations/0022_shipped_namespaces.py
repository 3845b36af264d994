from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0021_tasks'),
    ]

    operations = [
        migrations.CreateModel(
            name='ShippedNamespace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('namespace', models.CharField(max_length=80, unique=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
