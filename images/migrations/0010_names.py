"""New names of models and fields in Django's state only: no table and no column changes."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0009_words'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterModelTable(name='census', table='images_census'),
                migrations.RenameModel(old_name='Census', new_name='Statistics'),
                migrations.AlterModelTable(name='piece', table='images_piece'),
                migrations.RenameModel(old_name='Piece', new_name='UploadChunk'),
                migrations.AlterField(
                    model_name='uploadchunk',
                    name='transfer',
                    field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='images.transfer'),
                ),
                migrations.RenameField(model_name='event', old_name='door', new_name='interface'),
                migrations.AlterField(
                    model_name='event',
                    name='interface',
                    field=models.CharField(db_column='door', help_text='v2, v1, admin, command, worker', max_length=16),
                ),
                migrations.RenameField(model_name='transfer', old_name='resting_status', new_name='status_on_failure'),
                migrations.AlterField(
                    model_name='transfer',
                    name='status_on_failure',
                    field=models.CharField(db_column='resting_status', default='queued', max_length=14),
                ),
                migrations.AlterField(
                    model_name='transfer',
                    name='kind',
                    field=models.CharField(choices=[('upload', 'Upload'), ('stage', 'Stage'), ('import', 'Import'), ('copy', 'Web download')], max_length=6),
                ),
            ],
        ),
    ]
