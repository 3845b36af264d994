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
    ]
