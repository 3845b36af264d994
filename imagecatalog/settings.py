"""The one settings file: everything that an operator decides comes from the environment.

The README lists the variables; those of ours keep their name here (``IMAGECATALOG_…``).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from imagecatalog import env

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
ALLOWED_HOSTS = ["*"]  # no page is built from the Host header but links, see PUBLIC_URL

IMAGECATALOG_DATA_DIR = Path(
    env.text("IMAGECATALOG_DATA_DIR") or BASE_DIR / "var"
).absolute()
SECRET_KEY = env.text("IMAGECATALOG_SECRET_KEY") or env.secret_file(
    IMAGECATALOG_DATA_DIR / "secret-key"
)

# Sign-in
IMAGECATALOG_AUTH = env.choice(
    "IMAGECATALOG_AUTH", "embedded", ("embedded", "keystone", "none")
)
IMAGECATALOG_AUTH_NONE_REMOTE = env.flag("IMAGECATALOG_AUTH_NONE_REMOTE", False)
IMAGECATALOG_ADMIN_PASSWORD = env.text("IMAGECATALOG_ADMIN_PASSWORD")
IMAGECATALOG_TOKEN_SECONDS = env.seconds("IMAGECATALOG_TOKEN_SECONDS", 3600, minimum=60)
IMAGECATALOG_SIGN_IN_RECORD_DAYS = env.days("IMAGECATALOG_SIGN_IN_RECORD_DAYS", 90)
IMAGECATALOG_REGION = env.text("IMAGECATALOG_REGION") or "RegionOne"
IMAGECATALOG_STATIC_KEYS = env.pairs("IMAGECATALOG_STATIC_KEYS")  # USER:KEY

# With a real Keystone: where it is, and the service's own user there
IMAGECATALOG_KEYSTONE_URL = env.base_url("IMAGECATALOG_KEYSTONE_URL")
IMAGECATALOG_KEYSTONE_USERNAME = env.text("IMAGECATALOG_KEYSTONE_USERNAME")
IMAGECATALOG_KEYSTONE_PASSWORD = env.text("IMAGECATALOG_KEYSTONE_PASSWORD")
IMAGECATALOG_KEYSTONE_PROJECT_NAME = (
    env.text("IMAGECATALOG_KEYSTONE_PROJECT_NAME") or "service"
)
IMAGECATALOG_KEYSTONE_DOMAIN = env.text("IMAGECATALOG_KEYSTONE_DOMAIN") or "default"
if IMAGECATALOG_AUTH == "keystone" and not (
    IMAGECATALOG_KEYSTONE_URL
    and IMAGECATALOG_KEYSTONE_USERNAME
    and IMAGECATALOG_KEYSTONE_PASSWORD
):
    raise ImproperlyConfigured(
        "IMAGECATALOG_AUTH=keystone needs IMAGECATALOG_KEYSTONE_URL (such as "
        "https://keystone.example.org/v3), IMAGECATALOG_KEYSTONE_USERNAME and "
        "IMAGECATALOG_KEYSTONE_PASSWORD."
    )

# Who may: overrides of the default rules in images/access.py
IMAGECATALOG_POLICY_FILE = env.text("IMAGECATALOG_POLICY_FILE")

# What custom properties may be: images/property_schema.py
IMAGECATALOG_PROPERTY_SCHEMA = env.text("IMAGECATALOG_PROPERTY_SCHEMA")

# Bytes
IMAGECATALOG_STORES = (
    env.text("IMAGECATALOG_STORES")
    or f"local={(IMAGECATALOG_DATA_DIR / 'images').as_uri()}"
)
IMAGECATALOG_HASH_ALGORITHM = env.choice(
    "IMAGECATALOG_HASH_ALGORITHM", "sha512", ("sha256", "sha384", "sha512")
)
IMAGECATALOG_SIGNATURE_CERTIFICATES = env.text("IMAGECATALOG_SIGNATURE_CERTIFICATES")
IMAGECATALOG_REQUIRE_FORMAT_MATCH = env.flag("IMAGECATALOG_REQUIRE_FORMAT_MATCH", True)
IMAGECATALOG_IMAGE_SIZE_CAP = env.number("IMAGECATALOG_IMAGE_SIZE_CAP", 1 << 40)  # B
IMAGECATALOG_USER_STORAGE_QUOTA = env.size("IMAGECATALOG_USER_STORAGE_QUOTA")  # B
IMAGECATALOG_URL_ALLOWED_HOSTS = env.words("IMAGECATALOG_URL_ALLOWED_HOSTS")
IMAGECATALOG_URL_ALLOWED_PORTS = env.numbers(
    "IMAGECATALOG_URL_ALLOWED_PORTS", (80, 443)
)

# Life cycle
IMAGECATALOG_DELAYED_DELETE = env.flag("IMAGECATALOG_DELAYED_DELETE", True)
IMAGECATALOG_SCRUB_TIME = env.seconds("IMAGECATALOG_SCRUB_TIME", 86400)
IMAGECATALOG_LAST_LOCATION = env.choice(
    "IMAGECATALOG_LAST_LOCATION", "requeue", ("requeue", "forbid")
)
IMAGECATALOG_LOCATION_DATA = env.choice(
    "IMAGECATALOG_LOCATION_DATA", "verify", ("verify", "trust")
)
IMAGECATALOG_LEASE_SECONDS = env.seconds("IMAGECATALOG_LEASE_SECONDS", 60, minimum=5)
IMAGECATALOG_TRANSFER_SECONDS = env.seconds("IMAGECATALOG_TRANSFER_SECONDS", 86400, 1)
IMAGECATALOG_UPLOAD_EXPIRY = env.seconds("IMAGECATALOG_UPLOAD_EXPIRY", 86400, 1)

# The wire
IMAGECATALOG_V1 = env.flag("IMAGECATALOG_V1", True)
IMAGECATALOG_PUBLIC_URL = env.base_url("IMAGECATALOG_PUBLIC_URL")
IMAGECATALOG_TRUSTED_PROXIES = env.networks("IMAGECATALOG_TRUSTED_PROXIES", "unix")
# A client that sends nothing for half a lease is cut off before it can be taken for dead.
IMAGECATALOG_BODY_TIMEOUT = env.seconds(
    "IMAGECATALOG_BODY_TIMEOUT", IMAGECATALOG_LEASE_SECONDS // 2, minimum=1
)
if IMAGECATALOG_BODY_TIMEOUT >= IMAGECATALOG_LEASE_SECONDS:
    raise ImproperlyConfigured(
        "IMAGECATALOG_BODY_TIMEOUT must be less than IMAGECATALOG_LEASE_SECONDS: "
        "an upload that stalls would be taken for dead before it is cut off."
    )
IMAGECATALOG_WORKERS = env.number("IMAGECATALOG_WORKERS", 2, minimum=1)
IMAGECATALOG_GRACE_SECONDS = env.seconds("IMAGECATALOG_GRACE_SECONDS", 30, minimum=2)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "imagecatalog.admin.SignInsConfig",
    "imagecatalog.identity",
    "imagecatalog.admin.ImagesConfig",
    "imagecatalog.admin.AdminConfig",
]
MIDDLEWARE = [
    "imagecatalog.middleware.request_id",
    "imagecatalog.middleware.for_browsers",
]
ROOT_URLCONF = "imagecatalog.urls"
WSGI_APPLICATION = "imagecatalog.wsgi.application"
APPEND_SLASH = False

DATABASES = {
    "default": env.database(
        "DATABASE_URL", f"sqlite:///{IMAGECATALOG_DATA_DIR}/catalogue.sqlite3"
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # FULL: a commit that was answered survives a power cut, as the bytes do.
    # IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once
    # with "database is locked" when another one wrote in between; no timeout helps there.
    DATABASES["default"] |= {
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA cache_size=-65536; PRAGMA mmap_size=134217728;"
                "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;"
            ),
        },
        # Threads of a test need a database that they can share: a file.
        "TEST": {"NAME": str(IMAGECATALOG_DATA_DIR / "test.sqlite3")},
    }
else:
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"min_size": 2, "max_size": 16, "timeout": 30},
        # The statements of the hot path are always the same: PostgreSQL plans them once.
        "server_side_binding": True,
        "prepare_threshold": 5,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The browser admin. Nothing of this touches the API.
IMAGECATALOG_BROWSER_PATHS = ("/admin/", "/static/")
IMAGECATALOG_BROWSER_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "imagecatalog.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # answers who guesses passwords
]
# They look for the middleware in MIDDLEWARE; a test signs in instead.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410", "axes.W002"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # from where they are: there is no build step
LANGUAGES = [("en", "English")]  # a language that is half translated helps nobody

# The API never sees these cookies, and so can never be used with them.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_AGE = 12 * 3600  # s
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IMAGECATALOG_PUBLIC_URL.startswith("https")
CSRF_TRUSTED_ORIGINS = ["/".join(IMAGECATALOG_PUBLIC_URL.split("/")[:3])]
CSRF_TRUSTED_ORIGINS = [origin for origin in CSRF_TRUSTED_ORIGINS if origin]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "imagecatalog.identity.backends.Passwords",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Not by name alone: anybody could lock the admin out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "imagecatalog.identity.backends.client_address"
AXES_LOCKOUT_CALLABLE = "images.admin.error_pages.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS: list[str] = []  # the log says who guessed, from where

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
USE_TZ = True
TIME_ZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["images.api.authentication.SignIn"],
    "DEFAULT_RENDERER_CLASSES": [],  # views answer by http/responses.py
    "DEFAULT_PARSER_CLASSES": [],  # and read bodies by http/request_body.py
    "EXCEPTION_HANDLER": "images.http.exception_handler.handle",
    "UNAUTHENTICATED_USER": None,
}

LOG_LEVEL = env.choice(
    "LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # A refused request is the client's business, not a warning in the operator's log.
    "loggers": {
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},  # four lines for each sign-in otherwise
        # It calls the options of its sign-in plugin unknown, and then uses them.
        "keystonemiddleware._common.config": {"level": "ERROR"},
    },
}
