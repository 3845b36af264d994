"""Django's system checks of ours: what every command warns of before it begins."""

from __future__ import annotations

from typing import Any

from django.core.checks import Warning

from imagecatalog import env


def variables(**options: Any) -> list[Warning]:
    """A variable with a wrong name has no effect, and nobody would notice."""
    return [
        Warning(
            f"{name} is set, but there is no such variable.",
            hint=f"Did you mean {' or '.join(meant)}?" if meant else None,
            id="imagecatalog.W001",
        )
        for name, meant in env.misspelt().items()
    ]
