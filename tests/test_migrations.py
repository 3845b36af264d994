"""Data that migrations change, and what the previous release makes of their tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.management.base import CommandError
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Index

from images import lifecycle
from images.access import Caller
from images.concurrent_indexes import AddIndexConcurrently
from images.management import schema
from images.models import PublishedIndex, Transfer, TransferKind, TransferTarget

RELEASED = {"identity": "0003_words", "images": "0009_words"}  # the newest of a release
REMOVALS = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def operations_of(app: str) -> Iterator[tuple[str, Operation]]:
    """What migrations of no release do to the tables."""
    loader = MigrationLoader(None)
    for (label, name), migration in loader.disk_migrations.items():
        if label == app and name > RELEASED[app]:
            for operation in migration.operations:
                if isinstance(operation, migrations.SeparateDatabaseAndState):
                    yield from ((name, it) for it in operation.database_operations)
                else:
                    yield name, operation


@pytest.mark.parametrize("app", RELEASED)
def test_the_previous_release_can_use_the_tables(app: str) -> None:
    removals = [it for it in operations_of(app) if isinstance(it[1], REMOVALS)]
    columns = [it for it in operations_of(app) if isinstance(it[1], AddField)]
    required = [
        (name, operation.name)
        for name, operation in columns
        if not operation.field.null and not operation.field.has_db_default()
    ]

    assert not removals, "remove it one release after the last one that uses it"
    assert not required, "it does not know this column, which needs a db_default"


BUILD_INDEXES = (migrations.AddIndex, migrations.AddConstraint)
SHORT = {("0021_tasks", "transfer")}  # the values of the new unique column are all NULL


def locking_indexes(migration: migrations.Migration) -> Iterator[tuple[str, str]]:
    """The tables that a migration indexes while nobody can write into them: (migration, model)."""
    new = {
        operation.name_lower
        for operation in migration.operations
        if isinstance(operation, migrations.CreateModel)
    }
    for operation in migration.operations:
        model = getattr(operation, "model_name", "").lower()
        beside = isinstance(operation, AddIndexConcurrently) and not migration.atomic
        if model and model not in new and not beside and builds_index(operation):
            yield migration.name, model


def builds_index(operation: Operation) -> bool:
    if isinstance(operation, AddField):  # a changed field can have had its index before
        return bool(operation.field.db_index or operation.field.unique)
    return isinstance(operation, BUILD_INDEXES)


def test_tables_in_use_are_indexed_while_others_write_into_them() -> None:
    found = {
        entry
        for (app, name), migration in MigrationLoader(None).disk_migrations.items()
        if name > RELEASED.get(app, "9999")
        for entry in locking_indexes(migration)
    }

    assert found == SHORT, "use AddIndexConcurrently, in a migration that is not atomic"


@pytest.mark.parametrize(("atomic", "is_found"), [(True, True), (False, False)])
def test_the_check_finds_an_index_that_locks_its_table(
    atomic: bool, is_found: bool
) -> None:
    migration = migrations.Migration("0099_test", "images")
    migration.atomic = atomic
    migration.operations = [AddIndexConcurrently("image", Index("name", name="i"))]

    assert bool([*locking_indexes(migration)]) is is_found


@pytest.mark.django_db(transaction=True)
def test_an_index_is_added_once_and_anew_after_an_interruption() -> None:
    state = MigrationLoader(None).project_state()
    operation = AddIndexConcurrently("job", Index("worker", name="of_worker"))

    def apply(method: Callable[..., None]) -> None:
        with connection.schema_editor(atomic=False) as editor:
            method("images", editor, state, state)

    for _ in range(2):
        apply(operation.database_forwards)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false"
                " WHERE indexrelid = 'of_worker'::regclass"
            )
        apply(operation.database_forwards)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid FROM pg_index"
                " WHERE indexrelid = 'of_worker'::regclass"
            )
            assert cursor.fetchone() == (True,)
    apply(operation.database_backwards)


def test_the_previous_release_deletes_no_row_that_a_new_table_refers_to() -> None:
    released = MigrationLoader(None).project_state([*RELEASED.items()]).apps
    known = {model._meta.db_table for model in released.get_models()}
    references = {
        (model._meta.db_table, field.name)
        for app in RELEASED
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        if model._meta.db_table not in known
        for field in model._meta.concrete_fields
        if field.related_model and field.related_model._meta.db_table in known
        if field.db_constraint
    }

    # The database deletes these rows: see the next test.
    assert references == {("images_transfertarget", "transfer")}


@pytest.mark.django_db
def test_the_database_deletes_the_targets_of_a_transfer(member: Caller) -> None:
    image = lifecycle.create({}, {}, [], member)
    transfer = Transfer.objects.create(image=image, kind=TransferKind.IMPORT)
    TransferTarget.objects.create(transfer=transfer, store="far", key="key")

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM images_transfer")

    connection.check_constraints()
    assert not TransferTarget.objects.exists()


@pytest.mark.django_db
def test_existing_permissions_are_renamed_and_renamed_back() -> None:
    migration = import_module("images.migrations.0011_permission_names")
    named = Permission.objects.filter(content_type__app_label="images")
    new = dict(named.values_list("codename", "name"))
    assert new["fail_image"] == "Can cancel transfer of image"
    assert new["scrub_image"] == "Can delete image permanently"

    editor = SimpleNamespace(connection=connection)
    migration.rename_back(apps, editor)
    old = dict(named.values_list("codename", "name"))
    migration.rename(apps, editor)

    assert old["scrub_image"] == "Can delete image for good"
    changed = {codename for codename in new if old[codename] != new[codename]}
    assert changed == {"fail_image", "scrub_image"}
    assert dict(named.values_list("codename", "name")) == new


@pytest.mark.django_db
def test_indexes_that_are_published_already_get_their_digests() -> None:
    index = PublishedIndex.objects.create(path="index.json", content=b"{}")
    migration = import_module("images.migrations.0040_digests_of_indexes")

    migration.compute(apps, SimpleNamespace(connection=connection))

    index.refresh_from_db()
    assert index.sha256 == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.django_db
def test_a_database_of_a_newer_release_is_refused() -> None:
    MigrationRecorder(connection).record_applied("images", "9999_later")

    with pytest.raises(CommandError, match=r"images\.9999_later.*allow-newer-database"):
        schema.refuse_newer()


@pytest.mark.django_db
def test_a_database_that_lacks_a_migration_is_refused_where_serve_may_not_migrate() -> (
    None
):
    schema.refuse_older()
    ((app, newest),) = MigrationLoader(None).graph.leaf_nodes("images")
    MigrationRecorder(connection).record_unapplied(app, newest)

    with pytest.raises(CommandError, match=rf"lacks .*images\.{newest}.*`migrate`"):
        schema.refuse_older()


@pytest.mark.django_db
def test_permissions_that_an_interrupted_migration_has_not_made_are_made_by_the_next() -> (
    None
):
    assert schema.is_current()
    Permission.objects.filter(codename="scrub_image").delete()
    assert not schema.is_current()

    schema.upgrade()

    assert schema.is_current()


@pytest.mark.django_db
def test_migrations_of_other_apps_are_their_own_affair() -> None:
    MigrationRecorder(connection).record_applied("axes", "9999_later")

    schema.refuse_newer()
