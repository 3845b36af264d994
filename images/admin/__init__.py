"""The browser admin: an interface that shows images and calls ``images.lifecycle``."""

from __future__ import annotations

from django.contrib import admin

from images.admin.image_admin import ImageAdmin
from images.admin.quota_admin import QuotaLimitAdmin
from images.models import Image, QuotaLimit

admin.site.register(Image, ImageAdmin)
admin.site.register(QuotaLimit, QuotaLimitAdmin)
