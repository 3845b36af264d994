"""Success bodies are JSON whatever the client says it accepts; errors look at Accept themselves."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation


class AlwaysJSON(BaseContentNegotiation):
    def select_parser(self, request: Any, parsers: Any) -> Any:
        return None

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
