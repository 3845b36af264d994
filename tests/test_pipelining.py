"""Transactions whose statements do not wait for each other: errors come where transactions end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from images import db
from images.models import Image, writing

pytestmark = pytest.mark.django_db(transaction=True)
MakeImage = Callable[..., Image]


def write(*images: Image, then: Exception | None = None) -> None:
    """Insert images in one pipelined transaction, and then fail if there is an error to raise."""
    with db.pipelined():
        for image in images:
            writing.insert(image)
        if then:
            raise then


def execute(*statements: str) -> None:
    with db.pipelined(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def process_of_the_server() -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchall()


def test_the_end_of_the_transaction_refuses_a_row_that_exists(
    make_image: MakeImage,
) -> None:
    there = make_image()

    with pytest.raises(IntegrityError):
        write(Image(name="other"), Image(id=there.pk))

    assert Image.objects.count() == 1


def test_a_savepoint_raises_the_error_of_its_statements(make_image: MakeImage) -> None:
    there = make_image()

    with db.pipelined():
        with pytest.raises(IntegrityError):
            write(Image(id=there.pk))
        writing.insert(Image(name="other"))

    assert Image.objects.filter(name="other").exists()


def test_an_error_of_the_program_undoes_what_was_written() -> None:
    with pytest.raises(ValueError, match="mine"):
        write(Image(name="other"), then=ValueError("mine"))

    assert not Image.objects.exists()


@pytest.mark.postgres
def test_an_error_of_the_program_hides_that_of_a_statement_before(
    make_image: MakeImage,
) -> None:
    there = make_image()

    with pytest.raises(ValueError, match="mine"):
        write(Image(id=there.pk), then=ValueError("mine"))

    assert Image.objects.count() == 1


def test_a_change_counts_its_rows(make_image: MakeImage) -> None:
    there = Image.objects.filter(pk=make_image().pk)

    with db.pipelined():
        assert there.update(name="new") == 1
        assert Image.objects.exclude(pk__in=there).update(name="new") == 0


def test_rows_can_be_read_in_portions(make_image: MakeImage) -> None:
    make_image()

    with db.pipelined():
        assert len(list(Image.objects.iterator(chunk_size=1))) == 1


def test_what_is_written_in_another_transaction_ends_with_that() -> None:
    with transaction.atomic():
        write(Image(name="other"))
        assert Image.objects.count() == 1
        transaction.set_rollback(True)

    assert not Image.objects.exists()


@pytest.mark.postgres
def test_a_statement_that_takes_too_long_does_not_cost_the_connection() -> None:
    before = process_of_the_server()

    with pytest.raises(OperationalError):
        execute("SET LOCAL statement_timeout = 10", "SELECT pg_sleep(5)")

    assert process_of_the_server() == before


@pytest.mark.postgres
def test_a_lost_connection_is_no_second_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(OperationalError):
        execute("SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")

    connection.close()
    assert caplog.messages == []
