"""The resources of API v2 and their routes."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from images.api.v2 import image_data, image_stage, uploads
from images.api.v2.discovery import SchemaViewSet
from images.api.v2.image_actions import ImageActionViewSet
from images.api.v2.image_cache import ImageCacheViewSet
from images.api.v2.image_history import ImageHistoryViewSet
from images.api.v2.image_import import ImageImportViewSet
from images.api.v2.image_locations import ImageLocationViewSet
from images.api.v2.image_members import ImageMemberViewSet
from images.api.v2.image_stores import ImageStoreViewSet
from images.api.v2.image_tags import ImageTagViewSet
from images.api.v2.images import ImageViewSet
from images.api.v2.info import ImportInfoViewSet, StoreInfoViewSet, UsageViewSet
from images.api.v2.metadefs import urls as metadefs
from images.api.v2.tasks import ImageTaskViewSet, TaskViewSet
from images.http.views import IMAGE_ID, UnknownPathView

IMAGE = f"images/{IMAGE_ID}"
UPLOAD_ID = r"(?P<upload_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

router = SimpleRouter(trailing_slash=False)
router.register("images", ImageViewSet, basename="image")
router.register(f"{IMAGE}/actions", ImageActionViewSet, basename="image-action")
router.register(f"{IMAGE}/history", ImageHistoryViewSet, basename="image-history")
router.register(f"{IMAGE}/import", ImageImportViewSet, basename="image-import")
router.register(f"{IMAGE}/locations", ImageLocationViewSet, basename="image-location")
router.register(f"{IMAGE}/members", ImageMemberViewSet, basename="image-member")
router.register(f"{IMAGE}/tasks", ImageTaskViewSet, basename="image-task")
router.register(f"{IMAGE}/tags", ImageTagViewSet, basename="image-tag")
router.register("info/import", ImportInfoViewSet, basename="info-import")
router.register("info/stores", StoreInfoViewSet, basename="store-info")
router.register("info/usage", UsageViewSet, basename="usage")
router.register(
    r"stores/(?P<store_id>[^/]+)", ImageStoreViewSet, basename="image-store"
)
router.register("tasks", TaskViewSet, basename="task")
router.register("schemas", SchemaViewSet, basename="schema")

urlpatterns = [
    *router.urls,
    re_path(r"^cache$", ImageCacheViewSet.as_view({"get": "list", "delete": "clear"})),
    re_path(
        rf"^cache/{IMAGE_ID}$",
        ImageCacheViewSet.as_view({"put": "update", "delete": "destroy"}),
    ),
    re_path(r"^cache/clean$", ImageCacheViewSet.as_view({"post": "clean"})),
    re_path(r"^cache/prune$", ImageCacheViewSet.as_view({"post": "prune"})),
    re_path(rf"^cache/nodes/{IMAGE_ID}$", ImageCacheViewSet.as_view({"get": "nodes"})),
    *metadefs.urlpatterns,
    re_path(rf"^{IMAGE}/file$", image_data.ImageDataView.as_view()),
    re_path(rf"^{IMAGE}/stage$", image_stage.ImageStageView.as_view()),
    re_path(rf"^{IMAGE}/uploads$", uploads.UploadsView.as_view()),
    re_path(rf"^{IMAGE}/uploads/{UPLOAD_ID}$", uploads.UploadView.as_view()),
    re_path(r"", UnknownPathView.as_view()),
]
