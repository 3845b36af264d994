"""The table of alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.docs.tables import table as markdown
from tests.servers import ROOT

RULES = ROOT / "deploy" / "monitoring" / "rules.yml"
# "{{ $value }} images" is "*N* images" before there is a value.
VALUE = re.compile(r"\{\{ ?\$value[^}]*\}\}B?")
LABEL = re.compile(r"\{\{ ?\$labels\.(\w+) ?\}\}")


def table() -> str:
    """The alerts of the rules as a Markdown table."""
    return markdown(("Alert", "Severity", "After", "When, and what to do"), _rows())


def _rows() -> Iterator[tuple[str, str, str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            severity = rule["labels"]["severity"]
            yield rule["alert"], severity, rule.get("for", "at once"), _text(rule)


def _text(rule: dict[str, Any]) -> str:
    notes = rule["annotations"]
    summary = LABEL.sub(r"*\1*", VALUE.sub("*N*", notes["summary"]))
    return f"{summary[0].upper()}{summary[1:]}. {notes['description']}"
