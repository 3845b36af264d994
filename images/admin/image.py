"""The images, in Django's admin: which hooks are used for what. The work is done elsewhere."""

from __future__ import annotations

from django.contrib.admin import ModelAdmin


class ImageAdmin(ModelAdmin):
    """List ``images/image/``, page ``images/image/ID/change/``; "Add image" is in add.py."""

    list_display = ("name", "status", "created_at")
    show_full_result_count = False
