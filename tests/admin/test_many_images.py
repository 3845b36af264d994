"""Pages of a large catalogue: each statement reads a few of its rows, so that no page grows with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from images.access import Caller
from images.admin import changelist, view_counts
from images.models import RetentionPolicy
from tests.admin.conftest import LIST
from tests.bench import catalogue

IMAGES = 10_000
READ = 1_000  # rows of a table or an index that a statement reads at most
COUNTED = 50  # as few rows of lists are counted as of a larger catalogue in proportion
PAGES = (
    LIST,
    *(f"{LIST}?view={view}" for view in ("unverified", "without-data", "trash")),
    f"{LIST}?view=unverified&visibility=private",
    *(f"{LIST}?sort={column}" for column in ("-size_shown", "changed", "named")),
    f"{LIST}?size_min=4+GiB",
    f"{LIST}?store=local",
    f"{LIST}?owner=project-7",
    "/admin/identity/project/project-7/change/",
    "/v2/images?sort_key=size",
    "/v2/images?sort_key=updated_at",
    "/v2/images?updated_at=gte:2026-01-01T00:00:00Z",
)


@pytest.fixture
def many(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.insert(0, IMAGES)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for way in ("seqscan", "hashjoin", "mergejoin"):  # they suit small tables
            cursor.execute(f"SET LOCAL enable_{way} = off")
    monkeypatch.setattr(changelist, "COUNTED", COUNTED)
    monkeypatch.setattr(view_counts, "COUNTED", COUNTED)
    monkeypatch.setattr(view_counts, "READ", COUNTED)


@pytest.mark.postgres  # SQLite tells no numbers of rows
@pytest.mark.usefixtures("many")
def test_each_statement_of_a_page_reads_few_rows_of_many_images(
    root: Client, client_of: Callable[[Caller], Client], admin: Caller
) -> None:
    api = client_of(admin)
    policy = RetentionPolicy.objects.create(
        name="p", scope={"projects": ["project-7"]}, keep={"last": 3}
    )
    preview = f"/admin/images/retentionpolicy/{policy.pk}/preview/"

    found = {}
    for path in (*PAGES, preview):
        with CaptureQueriesContext(connection) as queries:
            response = (root if path.startswith("/admin") else api).get(path)
        assert response.status_code == 200, path
        found[path] = {
            f"{query['sql'][:80]} …": rows
            for query in queries
            if (rows := rows_read(query["sql"])) > READ
        }

    assert {path: read for path, read in found.items() if read} == {}


def rows_read(sql: str) -> int:
    """The most rows that a SELECT reads from one table or index; 0 for other statements."""
    if not sql.startswith("SELECT"):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        (plans,) = cursor.fetchone()
    plan = json.loads(plans) if isinstance(plans, str) else plans
    return max(map(_rows, _nodes(plan[0]["Plan"])))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for node in plan.get("Plans", ()):
        yield from _nodes(node)


def _rows(node: dict[str, Any]) -> int:
    if not {"Relation Name", "Index Name"} & node.keys():
        return 0
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    read = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    return int(read * node["Actual Loops"])
