"""``python -m tests.docs``: write the table of environment variables in docs/configuration.md."""

from __future__ import annotations

import re
from pathlib import Path

from imagecatalog import env, settings  # noqa: F401  (declares the variables)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
GENERATED = re.compile(
    "(<!-- begin: variables .*?-->\n).*(<!-- end: variables -->)", re.S
)


def table() -> str:
    """The declared variables as a Markdown table."""
    rows = [
        f"| `{variable.name}` | {variable.default} | {variable.help} |\n"
        for variable in env.VARIABLES.values()
    ]
    return "".join(["| Variable | Default | Meaning |\n|---|---|---|\n", *rows])


def page(text: str) -> str:
    """The text of the page with the table of today."""
    written, count = GENERATED.subn(
        lambda found: f"{found[1]}\n{table()}\n{found[2]}", text
    )
    assert count == 1, f"{PAGE} needs the two comments around the table"
    return written


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
