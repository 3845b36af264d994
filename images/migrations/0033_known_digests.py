import images.models.known_digest
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0032_backup_report'),
    ]

    operations = [
        migrations.AddField(
            model_name='image',
            name='digests_wanted_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='image',
            name='source_digests',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(condition=models.Q(('digests_wanted_at__isnull', False)), fields=['digests_wanted_at'], name='image_digests_wanted'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(condition=models.Q(('os_hash_value__isnull', False)), fields=['os_hash_value'], name='image_hash_value'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(images.models.known_digest.KnownDigest('sha1'), condition=models.Q(('checksum__isnull', False)), name='image_sha1'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(images.models.known_digest.KnownDigest('sha256'), condition=models.Q(('checksum__isnull', False)), name='image_sha256'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(images.models.known_digest.KnownDigest('sha384'), condition=models.Q(('checksum__isnull', False)), name='image_sha384'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(images.models.known_digest.KnownDigest('sha512'), condition=models.Q(('checksum__isnull', False)), name='image_sha512'),
        ),
    ]
