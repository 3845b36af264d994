"""The command that lets the background workers work again after a restore."""

from __future__ import annotations

from typing import Any

from images import pause
from images.console import CatalogueCommand, iso


class Command(CatalogueCommand):
    help = (
        "Let the background workers work again after a restore. They then delete permanently what "
        "is due in the trash, end the transfers that ran when the backup was made, remove the "
        "partial data of those, and carry out the jobs that had not ended then."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        paused = pause.current()
        if paused is None:
            self.stdout.write("The background workers are not paused.")
            return
        pause.end()
        self.stdout.write(
            f"The background workers work again. They were paused since {iso(paused['since'])}."
        )
