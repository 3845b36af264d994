"""``python -m tests.docs``: write the generated parts of the pages in docs/."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
django.setup()

from tests.docs import generated  # noqa: E402  (the settings come first)

for page in generated.PAGES:
    page.write_text(generated.written(page.read_text()))
