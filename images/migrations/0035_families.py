import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0034_unchecked_backups'),
    ]

    operations = [
        migrations.CreateModel(
            name='Family',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('name', models.CharField(max_length=63, verbose_name='name')),
                ('owner', models.CharField(max_length=255, verbose_name='project')),
                ('scope', models.CharField(choices=[('project', 'its project'), ('public', 'all projects')], db_default='project', default='project', max_length=7, verbose_name='scope')),
                ('title', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='title')),
                ('description', models.TextField(blank=True, db_default='', default='', verbose_name='description')),
                ('homepage', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='homepage')),
                ('architecture', models.CharField(max_length=32, verbose_name='architecture')),
                ('image_name', models.CharField(blank=True, db_default='', default='', max_length=180, verbose_name='name of the image')),
                ('naming', models.CharField(choices=[('same', 'the name of the current image'), ('versioned', 'that name, and the version in parentheses')], db_default='same', default='same', max_length=9, verbose_name='other images have')),
                ('name_separator', models.CharField(blank=True, db_default=' ', default=' ', max_length=5, verbose_name='separator')),
                ('hide_old', models.BooleanField(db_default=True, default=True, verbose_name='hide other images')),
                ('visibility', models.CharField(blank=True, db_default='', default='', max_length=9, verbose_name='visibility')),
                ('verified_only', models.BooleanField(db_default=False, default=False, verbose_name='verified images only')),
                ('template', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='template')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='changed')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, verbose_name='changes')),
            ],
            options={
                'verbose_name': 'family',
                'verbose_name_plural': 'families',
                'permissions': [('promote_family', 'Can promote version of family')],
            },
        ),
        migrations.CreateModel(
            name='FamilyEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('family', models.UUIDField(db_index=True)),
                ('name', models.CharField(help_text='name of the family', max_length=63)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('verb', models.CharField(max_length=16)),
                ('from_version', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('to_version', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('actor', models.CharField(blank=True, help_text='user id', max_length=255)),
                ('project', models.CharField(blank=True, max_length=255)),
                ('interface', models.CharField(max_length=16)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('reason', models.TextField(blank=True)),
                ('detail', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
            ],
            options={
                'ordering': ['id'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='FamilyVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(max_length=64, verbose_name='version')),
                ('label_key', models.BinaryField(max_length=256)),
                ('build_date', models.DateField(verbose_name='built')),
                ('added_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('promoted_at', models.DateTimeField(null=True)),
                ('withdrawn', models.BooleanField(db_default=False, default=False, verbose_name='withdrawn')),
                ('note', models.TextField(blank=True, db_default='', default='', verbose_name='note')),
                ('family', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='images.family')),
                ('image', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='family_version', to='images.image')),
            ],
            options={
                'verbose_name': 'version of a family',
                'verbose_name_plural': 'versions of families',
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='family',
            name='current',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='images.familyversion', verbose_name='current version'),
        ),
        migrations.AddIndex(
            model_name='familyversion',
            index=models.Index(fields=['family', 'build_date', 'label_key', 'id'], name='family_version_newest'),
        ),
        migrations.AddConstraint(
            model_name='familyversion',
            constraint=models.UniqueConstraint(fields=('family', 'label'), name='one_version_of_a_label'),
        ),
        migrations.AddConstraint(
            model_name='family',
            constraint=models.UniqueConstraint(fields=('owner', 'name'), name='one_family_of_a_name'),
        ),
        migrations.AddConstraint(
            model_name='family',
            constraint=models.UniqueConstraint(condition=models.Q(('scope', 'public')), fields=('name',), name='one_public_family_of_a_name'),
        ),
        migrations.AlterField(
            model_name='event',
            name='interface',
            field=models.CharField(db_column='door', help_text='v2, v1, catalog, admin, command, worker', max_length=16),
        ),
    ]
