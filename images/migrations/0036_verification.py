import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0035_families'),
    ]

    operations = [
        migrations.AddField(
            model_name='imagelocation',
            name='verify_after',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='imagelocation',
            index=models.Index(django.db.models.functions.comparison.Coalesce('verified_at', 'created_at'), models.F('id'), condition=models.Q(('status', 'active')), name='location_to_verify'),
        ),
    ]
