import django.core.serializers.json
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0036_verification'),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('kind', models.CharField(max_length=32, verbose_name='kind')),
                ('key', models.CharField(blank=True, db_default='', max_length=255, verbose_name='key')),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_default='waiting', default='waiting', max_length=9, verbose_name='status')),
                ('progress_done', models.BigIntegerField(db_default=0, default=0)),
                ('progress_total', models.BigIntegerField(null=True)),
                ('progress_unit', models.CharField(blank=True, db_default='', max_length=16)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('not_before', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('heartbeat_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('worker', models.CharField(blank=True, db_default='', max_length=255, verbose_name='worker')),
                ('attempts', models.PositiveIntegerField(db_default=0, default=0, verbose_name='attempts')),
                ('failed_attempts', models.PositiveIntegerField(db_default=0, default=0)),
                ('cancel_requested_at', models.DateTimeField(null=True)),
                ('error_code', models.CharField(blank=True, db_default='', max_length=32)),
                ('error', models.TextField(blank=True, db_default='', verbose_name='error')),
                ('actor', models.CharField(blank=True, db_default='', max_length=255, verbose_name='user')),
                ('project', models.CharField(blank=True, db_default='', max_length=255, verbose_name='project')),
                ('interface', models.CharField(db_default='', max_length=16, verbose_name='interface')),
                ('request_id', models.CharField(blank=True, db_default='', max_length=64, verbose_name='request id')),
                ('reason', models.TextField(blank=True, db_default='', verbose_name='reason')),
                ('arguments', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('result', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True)),
            ],
            options={
                'verbose_name': 'job',
                'verbose_name_plural': 'jobs',
                'permissions': [('cancel_job', 'Can cancel job')],
                'default_permissions': (),
                'indexes': [models.Index(models.F('project'), models.F('created_at'), models.F('id'), name='job_of_project'), models.Index(models.F('created_at'), models.F('id'), name='job_newest'), models.Index(models.F('created_at'), condition=models.Q(('status', 'waiting')), name='job_waiting'), models.Index(models.F('heartbeat_at'), condition=models.Q(('status', 'running')), name='job_running'), models.Index(models.F('finished_at'), condition=models.Q(('finished_at__isnull', False)), name='job_finished')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'waiting'), models.Q(('key', ''), _negated=True)), fields=('kind', 'key'), name='one_waiting_job_of_a_key'), models.UniqueConstraint(condition=models.Q(('status', 'running'), models.Q(('key', ''), _negated=True)), fields=('kind', 'key'), name='one_running_job_of_a_key')],
            },
        ),
    ]
