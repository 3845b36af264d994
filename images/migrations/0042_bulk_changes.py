"""Bulk changes, with a result for each image."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0041_activity'),
    ]

    operations = [
        migrations.CreateModel(
            name='BulkChange',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('verb', models.CharField(help_text='such as delete, or edit', max_length=16)),
                ('edit', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                ('actor', models.CharField(blank=True, help_text='user id', max_length=255)),
                ('interface', models.CharField(max_length=16)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('reason', models.TextField(blank=True, db_default='', default='')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('requested_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('job', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='images.job')),
            ],
            options={
                'verbose_name': 'bulk change',
                'verbose_name_plural': 'bulk changes',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='BulkRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('result', models.CharField(choices=[('planned', 'Not yet changed'), ('done', 'Changed'), ('unchanged', 'Unchanged'), ('refused', 'Refused')], db_default='planned', default='planned', max_length=9)),
                ('error', models.TextField(blank=True, db_default='', default='')),
                ('change', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='images.bulkchange')),
                ('image', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='images.image')),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['change', 'result', 'id', 'image'], name='bulk_row_result')],
            },
        ),
    ]
