"""Every block of the documentation is run by a test, or listed with a reason or another test."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.docs import shown, uses
from tests.docs.blocks import Step, every_block, found
from tests.servers import ROOT


def test_each_block_is_run_or_named_with_a_reason() -> None:
    languages = ("console", *uses.TRIALS)

    assert [
        block.title for block in uses.run_here() if block.language not in languages
    ] == []
    for block in uses.run_here():
        assert block.language != "console" or block.steps(), block.title


@pytest.mark.parametrize(
    "table",
    [
        uses.ELSEWHERE,
        uses.STATUS_BEFORE,
        uses.STATUS_AFTER,
        uses.PREPARATIONS,
        uses.DIFFERENT,
    ],
)
def test_every_block_that_a_table_names_is_there(table: Iterable[str]) -> None:
    titles = [block.title for block in every_block()]

    missing = [k for k in table if not any(it.startswith(k) for it in titles)]
    assert missing == []


def test_the_tests_that_try_a_block_are_there() -> None:
    files = [it for it in uses.ELSEWHERE.values() if it.startswith("tests/")]

    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_reader_tells_commands_from_what_they_print() -> None:
    text = """- first
  ```console
  $ one --with \\
      more    # it's a comment
  printed
  $ two '{"a":
    1}'
  ```
```json
{}
```
"""
    first, second = found("page.md", text)

    assert first.title == "page.md: $ one --with \\"
    assert first.steps() == [
        Step("one --with \\\n    more    # it's a comment", "printed"),
        Step("two '{\"a\":\n  1}'", ""),
    ]
    assert (second.language, second.steps()) == ("json", [])


def test_ids_times_and_numbers_can_be_others_than_a_page_shows() -> None:
    page = 'ID 4f0c…\n12 of {"at": "2026-11-23T20:17:47.5Z", …}'
    printed = 'ID   d1d2\n7 of {"at":"2027-01-01T00:00:00Z","b":1}\n'

    assert shown.values(page, printed) == {
        "4f0c…": "d1d2",
        "2026-11-23T20:17:47.5Z": "2027-01-01T00:00:00Z",
    }
    with pytest.raises(AssertionError):
        shown.values(page, printed.replace("of", "off"))
