"""The WSGI application. Uploads need threads: Django under ASGI spools a body before the view."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
application = get_wsgi_application()
