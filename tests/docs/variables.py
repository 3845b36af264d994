"""The table of environment variables."""

from __future__ import annotations

from imagecatalog import env, settings  # noqa: F401  (declares the variables)
from tests.docs.tables import table as markdown


def table() -> str:
    """The declared variables as a Markdown table."""
    return markdown(
        ("Variable", "Default", "Meaning"),
        (
            (f"`{variable.name}`", variable.default, variable.help)
            for variable in env.VARIABLES.values()
        ),
    )
