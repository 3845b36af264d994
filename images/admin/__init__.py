"""The browser admin: web pages that show images and change them with ``images.lifecycle``."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from imagecatalog.identity.models import Project, SignInEvent
from images.admin.family_admin import FamilyAdmin
from images.admin.image_admin import ImageAdmin
from images.admin.job_admin import JobAdmin
from images.admin.namespace_admin import NamespaceAdmin
from images.admin.project_admin import ProjectAdmin
from images.admin.quota_admin import QuotaLimitAdmin
from images.admin.retention_admin import RetentionPolicyAdmin
from images.admin.sign_in_log_admin import SignInEventAdmin
from images.admin.transfer_admin import TransferAdmin
from images.admin.user_admin import CatalogueGroupAdmin, CatalogueUserAdmin
from images.models import (
    Family,
    Image,
    Job,
    MetadefNamespace,
    QuotaLimit,
    RetentionPolicy,
    Transfer,
)

admin.site.register(Family, FamilyAdmin)
admin.site.register(Image, ImageAdmin)
admin.site.register(Job, JobAdmin)
admin.site.register(Project, ProjectAdmin)
admin.site.register(QuotaLimit, QuotaLimitAdmin)
admin.site.register(RetentionPolicy, RetentionPolicyAdmin)
admin.site.register(MetadefNamespace, NamespaceAdmin)
admin.site.register(SignInEvent, SignInEventAdmin)
admin.site.register(Transfer, TransferAdmin)
# Django has registered pages of its own.
admin.site.unregister((Group, get_user_model()))
admin.site.register(Group, CatalogueGroupAdmin)
admin.site.register(get_user_model(), CatalogueUserAdmin)
