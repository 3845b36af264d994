from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0019_unified_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='transfer',
            name='import_method',
            field=models.CharField(blank=True, db_default='', max_length=16),
        ),
    ]
