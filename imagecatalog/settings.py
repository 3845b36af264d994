"""The settings of the service, read from environment variables.

`make docs` writes the declarations here into docs/configuration.md. A variable that begins with
IMAGECATALOG is a setting of the same name.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import SimpleLazyObject

from imagecatalog import effective_variables, env, installation
from imagecatalog.installation import BASE_DIR, IN_CHECKOUT
from images import data_folder, format_checks

IMAGECATALOG_VERSION = SimpleLazyObject(installation.version)
DEBUG = False
ALLOWED_HOSTS = ["*"]  # only links are built from the Host header, see PUBLIC_URL

IMAGECATALOG_DATA_DIR = Path(
    env.folder(
        "IMAGECATALOG_DATA_DIR",
        str(BASE_DIR / "var" if IN_CHECKOUT else data_folder.of_user()),
        shown="`var` in a checkout; installed: `~/.local/state/imagecatalog` (below "
        "`$XDG_STATE_HOME` if that is set), for root `/var/lib/imagecatalog`",
        help="Folder for the SQLite database, the default store and the secret key "
        "(`DATA_DIR` below). The path is absolute.",
    )
)
IMAGECATALOG_NEW_CATALOGUE = env.choice(
    "IMAGECATALOG_NEW_CATALOGUE",
    "auto",
    ("auto", "on", "off"),
    help="Whether `serve` makes a new catalogue where it finds no database: `on`, `off`, or "
    "`auto`: unless a store in a folder has data. See "
    "[Missing disks](operations.md#missing-disks).",
)
IMAGECATALOG_SECRET_KEY = env.text(
    "IMAGECATALOG_SECRET_KEY",
    shown="kept in `DATA_DIR/secret-key`",
    help="Key that signs tokens and sessions, at least 32 characters. Machines that run one "
    "service need the same value.",
)
SECRET_KEY = IMAGECATALOG_SECRET_KEY or SimpleLazyObject(
    # Created where it is needed first, not by `manage.py help`.
    partial(data_folder.secret_key, IMAGECATALOG_DATA_DIR / data_folder.KEY_FILE)
)
SECRET_KEY_FALLBACKS = env.words(
    "IMAGECATALOG_SECRET_KEY_FALLBACKS",
    help="Comma-separated earlier keys, whose tokens and sessions are still accepted. See "
    "[Secrets](operations.md#secrets).",
)

IMAGECATALOG_BACKUP_DIR = env.folder(
    "IMAGECATALOG_BACKUP_DIR",
    or_url=True,
    help="Folder, or URL of an object store as in [Stores](#stores), in which `backup` makes "
    "backups. See [Backup](backup.md).",
)
IMAGECATALOG_MANAGEMENT_BIND = env.text(
    "IMAGECATALOG_MANAGEMENT_BIND",
    help="Address `HOST:PORT` on which `serve` answers probes and metrics without sign-in. See "
    "[Monitoring](operations.md#monitoring).",
)

IMAGECATALOG_METRICS_PROJECTS = env.number(
    "IMAGECATALOG_METRICS_PROJECTS",
    0,
    maximum=1000,
    help="How many projects, those with the most data, `/metrics` shows with their bytes, images and "
    "limits. `0`: none.",
)

# Sign-in
IMAGECATALOG_AUTH = env.choice(
    "IMAGECATALOG_AUTH",
    "embedded",
    ("embedded", "keystone", "none"),
    help="How API clients sign in: `embedded` (the built-in identity service), "
    "`keystone` (an existing Keystone) or `none` (no sign-in).",
)
IMAGECATALOG_AUTH_NONE_REMOTE = env.flag(
    "IMAGECATALOG_AUTH_NONE_REMOTE",
    False,
    help="With `IMAGECATALOG_AUTH=none`, `on` accepts requests from other machines too.",
)
IMAGECATALOG_ADMIN_PASSWORD = env.text(
    "IMAGECATALOG_ADMIN_PASSWORD",
    shown="generated and printed once",
    help="Password of the first user, `admin`, at least 8 characters. Used when the database "
    "has no users.",
)
IMAGECATALOG_USER_PASSWORD = env.text(
    "IMAGECATALOG_USER_PASSWORD",
    shown="generated and printed once",
    help="Password that the commands `user_create` and `password_reset` give a user.",
)
IMAGECATALOG_PASSWORD_SIGN_IN = env.flag(
    "IMAGECATALOG_PASSWORD_SIGN_IN",
    True,
    help="`off`: the admin accepts no passwords of the catalogue, only "
    "[single sign-on](authentication.md#single-sign-on) and the directory's. The APIs accept "
    "them still.",
)
IMAGECATALOG_SECOND_FACTOR = env.choice(
    "IMAGECATALOG_SECOND_FACTOR",
    "off",
    ("off", "optional", "required"),
    help="Whom the admin asks for a one-time code after a password: nobody (`off`), users who have "
    "set up an authenticator app (`optional`), or all users (`required`). See "
    "[Second factor](authentication.md#second-factor).",
)
IMAGECATALOG_TOKEN_SECONDS = env.seconds(
    "IMAGECATALOG_TOKEN_SECONDS",
    3600,
    minimum=60,
    help="Lifetime of a token, in seconds (at least 60).",
)
IMAGECATALOG_SIGN_IN_RECORD_DAYS = env.days(
    "IMAGECATALOG_SIGN_IN_RECORD_DAYS",
    90,
    help="Days to keep the records of sign-ins, to the API and to the admin; `0` keeps "
    "them for ever.",
)
IMAGECATALOG_REGION = env.text(
    "IMAGECATALOG_REGION",
    "RegionOne",
    help="Region in the service catalogue that comes with a token.",
)
IMAGECATALOG_STATIC_KEYS = env.pairs(
    "IMAGECATALOG_STATIC_KEYS",
    help="Comma-separated `USER:KEY` pairs. A key is accepted as a token of its user.",
)

# Single sign-on to the admin: imagecatalog/identity/oidc.py
IMAGECATALOG_OIDC_ISSUER = env.secure_url(
    "IMAGECATALOG_OIDC_ISSUER",
    help="URL of the OpenID Connect provider at which users of the admin sign in, exactly as it "
    "calls itself (`issuer`). See [Single sign-on](authentication.md#single-sign-on).",
)
IMAGECATALOG_OIDC_CLIENT_ID = env.text(
    "IMAGECATALOG_OIDC_CLIENT_ID", help="Client id of the catalogue at the provider."
)
IMAGECATALOG_OIDC_CLIENT_SECRET = env.text(
    "IMAGECATALOG_OIDC_CLIENT_SECRET",
    help="Client secret of the catalogue at the provider.",
)
IMAGECATALOG_OIDC_NAME = env.text(
    "IMAGECATALOG_OIDC_NAME",
    "single sign-on",
    help="Name of the provider on the sign-in page: `Sign in with NAME`.",
)
IMAGECATALOG_OIDC_SCOPES = env.words(
    "IMAGECATALOG_OIDC_SCOPES",
    "openid,profile",
    help="Comma-separated scopes that a sign-in requests; some providers need `groups` among "
    "them.",
)
IMAGECATALOG_OIDC_USERNAME_CLAIM = env.text(
    "IMAGECATALOG_OIDC_USERNAME_CLAIM",
    "preferred_username",
    help="Claim with the name that a new user gets.",
)
IMAGECATALOG_OIDC_GROUPS_CLAIM = env.text(
    "IMAGECATALOG_OIDC_GROUPS_CLAIM",
    "groups",
    help="Claim with the groups of a user; `realm_access.roles` is the claim `roles` within "
    "`realm_access`.",
)
IMAGECATALOG_OIDC_GROUPS = env.pairs(
    "IMAGECATALOG_OIDC_GROUPS",
    help="Comma-separated `THERE:GROUP` pairs: members of the provider's group `THERE` have the "
    "group `GROUP` of the admin, such as `ops:operator,cloud:catalogue manager`.",
)
IMAGECATALOG_OIDC_ADMIN_GROUP = env.text(
    "IMAGECATALOG_OIDC_ADMIN_GROUP",
    help="Group of the provider whose members are superusers, and nobody else of its users. "
    "Unset: no claim makes a superuser.",
)
if IMAGECATALOG_OIDC_ISSUER:
    env.require("IMAGECATALOG_OIDC_ISSUER", "IMAGECATALOG_OIDC_CLIENT_ID")
    env.require("IMAGECATALOG_OIDC_ISSUER", "IMAGECATALOG_OIDC_CLIENT_SECRET")
    env.require(
        "IMAGECATALOG_OIDC_ISSUER",
        "IMAGECATALOG_OIDC_GROUPS",
        "IMAGECATALOG_OIDC_ADMIN_GROUP",
    )
    env.require_package("IMAGECATALOG_OIDC_ISSUER", "allauth", extra="oidc")

# Passwords of a directory: imagecatalog/identity/ldap_directory.py
IMAGECATALOG_LDAP_URL = env.ldap_url(
    "IMAGECATALOG_LDAP_URL",
    help="URL of the directory with whose passwords users of the admin sign in: "
    "`ldaps://ldap.example.org`, or `ldap://…`, which is used with StartTLS only. See "
    "[LDAP](authentication.md#ldap).",
)
IMAGECATALOG_LDAP_CA_FILE = env.text(
    "IMAGECATALOG_LDAP_CA_FILE",
    shown="those of the system",
    help="File (PEM) with the certificate authorities that verify the directory's certificate.",
)
IMAGECATALOG_LDAP_BIND_DN = env.text(
    "IMAGECATALOG_LDAP_BIND_DN",
    shown="anonymous",
    help="DN with which the service binds before it searches for users and groups.",
)
IMAGECATALOG_LDAP_BIND_PASSWORD = env.text(
    "IMAGECATALOG_LDAP_BIND_PASSWORD", help="Password for `IMAGECATALOG_LDAP_BIND_DN`."
)
IMAGECATALOG_LDAP_USERS = env.text(
    "IMAGECATALOG_LDAP_USERS",
    help="DN of the entry below which the users are, such as `ou=people,dc=example,dc=org`.",
)
IMAGECATALOG_LDAP_USER_ATTRIBUTE = env.attribute(
    "IMAGECATALOG_LDAP_USER_ATTRIBUTE",
    "uid",
    help="Attribute that is the user name; in Active Directory `sAMAccountName`.",
)
IMAGECATALOG_LDAP_ID_ATTRIBUTE = env.attribute(
    "IMAGECATALOG_LDAP_ID_ATTRIBUTE",
    "entryUUID",
    help="Attribute by which a user is recognised. Its values never change and are never reused; "
    "in Active Directory `objectGUID`.",
)
IMAGECATALOG_LDAP_GROUP_BASE = env.text(
    "IMAGECATALOG_LDAP_GROUP_BASE",
    help="DN of the entry below which the groups are, such as `ou=groups,dc=example,dc=org`.",
)
IMAGECATALOG_LDAP_GROUP_CLASS = env.choice(
    "IMAGECATALOG_LDAP_GROUP_CLASS",
    "groupOfNames",
    ("groupOfNames", "groupOfUniqueNames", "posixGroup", "group"),
    help="Object class of the groups: `groupOfNames`, `groupOfUniqueNames`, `posixGroup`, or "
    "`group` for Active Directory, with groups in groups.",
)
IMAGECATALOG_LDAP_GROUPS = env.pairs(
    "IMAGECATALOG_LDAP_GROUPS",
    help="Comma-separated `THERE:GROUP` pairs, as in `IMAGECATALOG_OIDC_GROUPS`. `THERE` is the "
    "`cn` of a group.",
)
IMAGECATALOG_LDAP_ADMIN_GROUP = env.text(
    "IMAGECATALOG_LDAP_ADMIN_GROUP",
    help="`cn` of the group whose members are superusers, and nobody else of the directory. "
    "Unset: no group makes a superuser.",
)
if IMAGECATALOG_LDAP_URL:
    env.require("IMAGECATALOG_LDAP_URL", "IMAGECATALOG_LDAP_USERS")
    env.require("IMAGECATALOG_LDAP_URL", "IMAGECATALOG_LDAP_GROUP_BASE")
    env.require(
        "IMAGECATALOG_LDAP_URL",
        "IMAGECATALOG_LDAP_GROUPS",
        "IMAGECATALOG_LDAP_ADMIN_GROUP",
    )
    env.require_package("IMAGECATALOG_LDAP_URL", "django_auth_ldap", extra="ldap")
# Whether the sign-in page of the admin asks for a name and a password
IMAGECATALOG_PASSWORD_FORM = IMAGECATALOG_PASSWORD_SIGN_IN or bool(
    IMAGECATALOG_LDAP_URL
)
if not (IMAGECATALOG_PASSWORD_FORM or IMAGECATALOG_OIDC_ISSUER):
    raise ImproperlyConfigured(
        "IMAGECATALOG_PASSWORD_SIGN_IN=off needs IMAGECATALOG_OIDC_ISSUER or "
        "IMAGECATALOG_LDAP_URL: nobody could sign in to the admin."
    )

# With a real Keystone: where it is, and the service's own user there
IMAGECATALOG_KEYSTONE_URL = env.base_url(
    "IMAGECATALOG_KEYSTONE_URL",
    help="URL of Keystone's API v3, such as `https://keystone.example.org/v3`. Required "
    "by `IMAGECATALOG_AUTH=keystone`, as are the user name and the password.",
)
IMAGECATALOG_KEYSTONE_USERNAME = env.text(
    "IMAGECATALOG_KEYSTONE_USERNAME",
    help="Name of the service user in Keystone, which needs the role `service`.",
)
IMAGECATALOG_KEYSTONE_PASSWORD = env.text(
    "IMAGECATALOG_KEYSTONE_PASSWORD", help="Password of the service user."
)
IMAGECATALOG_KEYSTONE_PROJECT_NAME = env.text(
    "IMAGECATALOG_KEYSTONE_PROJECT_NAME",
    "service",
    help="Name of the service user's project.",
)
IMAGECATALOG_KEYSTONE_DOMAIN = env.text(
    "IMAGECATALOG_KEYSTONE_DOMAIN",
    "default",
    help="Id of the domain of the service user and its project.",
)
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

IMAGECATALOG_UNIFIED_LIMITS = env.flag(
    "IMAGECATALOG_UNIFIED_LIMITS",
    False,
    help="With `IMAGECATALOG_AUTH=keystone`, `on` reads the "
    "[limits of projects](#limits-of-projects) from Keystone.",
)
IMAGECATALOG_UNIFIED_LIMITS_SECONDS = env.seconds(
    "IMAGECATALOG_UNIFIED_LIMITS_SECONDS",
    60,
    1,
    help="Seconds between two readings of the limits from Keystone.",
)
IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE = env.seconds(
    "IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE",
    86400,
    1,
    help="Seconds for which limits that were read from Keystone hold while it does not answer. "
    "After that, requests that need a limit are answered with 503.",
)
if IMAGECATALOG_UNIFIED_LIMITS and IMAGECATALOG_AUTH != "keystone":
    raise ImproperlyConfigured(
        "IMAGECATALOG_UNIFIED_LIMITS=on needs IMAGECATALOG_AUTH=keystone."
    )

# Overrides of the default rules in images/access/rules.py
IMAGECATALOG_POLICY_FILE = env.text(
    "IMAGECATALOG_POLICY_FILE",
    help="YAML file in the language of oslo.policy that overrides "
    "[rules](authentication.md#permissions).",
)

# The protections of custom properties: images/access/property_protections.py
IMAGECATALOG_PROPERTY_PROTECTION_FILE = env.text(
    "IMAGECATALOG_PROPERTY_PROTECTION_FILE",
    help="INI file, as in Glance, that says which callers create, read, update and delete "
    "[custom properties](authentication.md#protected-properties).",
)
IMAGECATALOG_PROPERTY_PROTECTION_RULE_FORMAT = env.choice(
    "IMAGECATALOG_PROPERTY_PROTECTION_RULE_FORMAT",
    "roles",
    ("roles", "policies"),
    help="What the file names: `roles`, or `policies` (the names of "
    "[rules](authentication.md#permissions)).",
)

# The schema of custom properties: images/property_schema.py
IMAGECATALOG_PROPERTY_SCHEMA = env.text(
    "IMAGECATALOG_PROPERTY_SCHEMA",
    help="JSON schema of custom properties, in the format of Glance's "
    "`schema-image.json`. New images need the properties that it lists as `required`; "
    "properties that it does not describe stay free.",
)

# Stores and data
IMAGECATALOG_STORES = env.text(
    "IMAGECATALOG_STORES",
    f"local={(IMAGECATALOG_DATA_DIR / 'images').as_uri()}",
    shown="`local=file://DATA_DIR/images`",
    help="Comma-separated `ID=URL` pairs, the default store first. See "
    "[Stores](#stores).",
)
env.of_library(
    "AWS_ACCESS_KEY_ID",
    help="Credential for S3, of stores and of backups. See [Stores](#stores).",
)
env.of_library("AWS_SECRET_ACCESS_KEY", help="The secret of that credential.")
env.of_library("AWS_SESSION_TOKEN", help="The token of a temporary credential.")
IMAGECATALOG_STAGING_STORE = env.text(
    "IMAGECATALOG_STAGING_STORE",
    shown="the default store",
    help="ID of the store that keeps staged data until it is imported. All machines must reach it.",
)
IMAGECATALOG_STORE_RESERVE = env.size(
    "IMAGECATALOG_STORE_RESERVE",
    shown="1 GiB, or 2 % of a file system below 50 GiB",
    help="Bytes (or, for example, `5GB`) that uploads leave free on the file system of a folder "
    "store; `0` keeps nothing free.",
)
IMAGECATALOG_CACHE_DIR = env.folder(
    "IMAGECATALOG_CACHE_DIR",
    help="Folder on this machine in which data from stores that are not local is cached. Unset: "
    "no cache. See [Cache](operations.md#cache).",
)
IMAGECATALOG_CACHE_MAX_SIZE = env.size(
    "IMAGECATALOG_CACHE_MAX_SIZE",
    shown="`10GiB`",
    help="Bytes (or, for example, `500GB`) that the cache has at most. The images whose last "
    "download is longest ago make room.",
)
IMAGECATALOG_HASH_ALGORITHM = env.choice(
    "IMAGECATALOG_HASH_ALGORITHM",
    "sha512",
    ("sha256", "sha384", "sha512"),
    help="Algorithm of `os_hash_value`: `sha256`, `sha384` or `sha512`.",
)
IMAGECATALOG_SIGNATURE_CERTIFICATES = env.folder(
    "IMAGECATALOG_SIGNATURE_CERTIFICATES",
    help="Folder with the certificates (`UUID.pem`) that verify signed images. See "
    "[Signatures](operations.md#image-signatures).",
)
IMAGECATALOG_REQUIRE_FORMAT_MATCH = env.flag(
    "IMAGECATALOG_REQUIRE_FORMAT_MATCH",
    True,
    help="Refuse data whose format is not the declared one (`raw` accepts any data, as "
    "in Glance). `off` accepts it; the safety checks stay.",
)
IMAGECATALOG_FORMAT_CHECKS = env.relaxed(
    "IMAGECATALOG_FORMAT_CHECKS",
    "strict",
    format_checks.RELAXABLE,
    help="`strict`, or comma-separated names of safety checks of image data that only warn: "
    + ", ".join(f"`{name}`" for name in format_checks.RELAXABLE)
    + ". See [Safety checks](operations.md#safety-checks-of-image-data).",
)
IMAGECATALOG_IMAGE_SIZE_CAP = env.size_or(
    "IMAGECATALOG_IMAGE_SIZE_CAP",
    "1TiB",
    help="Size of the largest image, in bytes or, for example, `500GB`.",
)
IMAGECATALOG_IMAGE_COUNT_TOTAL = env.number(
    "IMAGECATALOG_IMAGE_COUNT_TOTAL",
    -1,
    -1,
    help="Images that one project may have; deleted ones do not count. `-1`: no limit. Every "
    "creation counts them, which takes some milliseconds for 10,000 images.",
)
IMAGECATALOG_IMAGE_COUNT_UPLOADING = env.number(
    "IMAGECATALOG_IMAGE_COUNT_UPLOADING",
    1000,
    -1,
    help="Images of one project to which data may be on its way at a time; requested web "
    "downloads count, too. `-1`: no limit.",
)
IMAGECATALOG_IMAGE_PROPERTY_QUOTA = env.number(
    "IMAGECATALOG_IMAGE_PROPERTY_QUOTA",
    128,
    -1,
    help="Custom properties that an image may have. `-1`: no limit.",
)
IMAGECATALOG_IMAGE_TAG_QUOTA = env.number(
    "IMAGECATALOG_IMAGE_TAG_QUOTA",
    128,
    -1,
    help="Tags that an image may have. `-1`: no limit.",
)
IMAGECATALOG_IMAGE_MEMBER_QUOTA = env.number(
    "IMAGECATALOG_IMAGE_MEMBER_QUOTA",
    128,
    -1,
    help="Projects with which an image may be shared. `-1`: no limit.",
)
IMAGECATALOG_IMAGE_LOCATION_QUOTA = env.number(
    "IMAGECATALOG_IMAGE_LOCATION_QUOTA",
    10,
    -1,
    help="Locations that an image may have. `-1`: no limit.",
)
IMAGECATALOG_PROJECT_FAMILY_QUOTA = env.number(
    "IMAGECATALOG_PROJECT_FAMILY_QUOTA",
    10_000,
    -1,
    help="Families that a project may have. `-1`: no limit.",
)
IMAGECATALOG_FAMILY_VERSION_QUOTA = env.number(
    "IMAGECATALOG_FAMILY_VERSION_QUOTA",
    10_000,
    -1,
    help="Versions that a family may have. `-1`: no limit.",
)
IMAGECATALOG_IMAGE_CHANGE_RATE = env.number(
    "IMAGECATALOG_IMAGE_CHANGE_RATE",
    60,
    help="Changes of one image or one family by one project in a minute that one machine "
    "accepts, apart from changes of an image's status; ten times as many may come at once. "
    "Creations and deletions of a project's families count together, with the same limit. Each "
    "is an event of a history. More are refused (429). `0`: no limit.",
)
IMAGECATALOG_USER_STORAGE_QUOTA = env.size(
    "IMAGECATALOG_USER_STORAGE_QUOTA",
    help="Bytes (or, for example, `500GB`) that the images of one project may use in "
    "total. Every copy and all data on its way count, the trash does not. Unset: no limit.",
)
IMAGECATALOG_USER_TRASH_QUOTA = env.size(
    "IMAGECATALOG_USER_TRASH_QUOTA",
    shown="`IMAGECATALOG_USER_STORAGE_QUOTA`",
    help="Bytes (or, for example, `500GB`) that the trash of one project may have. A deletion "
    "beyond them permanently deletes the oldest images of that trash. `0`: no limit.",
)
IMAGECATALOG_USER_STAGING_QUOTA = env.size(
    "IMAGECATALOG_USER_STAGING_QUOTA",
    shown="`IMAGECATALOG_USER_STORAGE_QUOTA`",
    help="Bytes (or, for example, `500GB`) that the resumable uploads, staged data, web downloads and "
    "copies to other stores that one project has under way may have in total, by their announced "
    "sizes. `0`: no limit.",
)
IMAGECATALOG_SIZE_LIMITS = env.choice(
    "IMAGECATALOG_SIZE_LIMITS",
    "hard",
    ("hard", "soft"),
    help="`hard`: no byte exceeds the limits of a project's storage and staged data. `soft`: as "
    "in Glance, they are compared with what a project has when data begins to come; what has "
    "begun can exceed them.",
)
IMAGECATALOG_URL_ALLOWED_HOSTS = env.words(
    "IMAGECATALOG_URL_ALLOWED_HOSTS",
    help="Comma-separated host names, addresses and networks that locations and web "
    "downloads may use although their addresses are not public. Their ports must be allowed, too.",
)
IMAGECATALOG_URL_ALLOWED_PORTS = env.numbers(
    "IMAGECATALOG_URL_ALLOWED_PORTS",
    (80, 443),
    help="Comma-separated ports that locations and web downloads may use.",
)

# Life cycle
IMAGECATALOG_DELAYED_DELETE = env.flag(
    "IMAGECATALOG_DELAYED_DELETE",
    True,
    help="Move deleted images that have data to the trash. `off` deletes them "
    "permanently at once.",
)
IMAGECATALOG_SCRUB_TIME = env.seconds(
    "IMAGECATALOG_SCRUB_TIME",
    86400,
    help="Seconds that a deleted image stays in the trash.",
)
IMAGECATALOG_DELETED_IMAGES = env.number(
    "IMAGECATALOG_DELETED_IMAGES",
    100_000,
    -1,
    help="Permanently deleted images of one project whose record and history are kept. Of more, "
    "the background worker [purges](operations.md#purge) the oldest. `-1`: no limit.",
)
IMAGECATALOG_LAST_LOCATION = env.choice(
    "IMAGECATALOG_LAST_LOCATION",
    "requeue",
    ("requeue", "forbid"),
    help="When the last location of an image is removed: `requeue` queues the image, "
    "`forbid` refuses the removal, as Glance does.",
)
IMAGECATALOG_SHOW_LOCATIONS = env.choice(
    "IMAGECATALOG_SHOW_LOCATIONS",
    "owner",
    ("off", "privileged", "owner", "all"),
    help="Who sees the URLs of an image's data (`locations` and `direct_url`): `off` nobody, "
    "`privileged` the roles `admin` and `service`; with `owner`, the project that owns the "
    "image also sees http(s) URLs of copies elsewhere; with `all`, as in Glance, also where a "
    "store keeps its data.",
)
IMAGECATALOG_LOCATION_DATA = env.choice(
    "IMAGECATALOG_LOCATION_DATA",
    "verify",
    ("verify", "trust"),
    help="`verify` reads the data at a URL before the image is active, and checks it like "
    "an upload. `trust` accepts it unread, as Glance does, with the digests that its "
    "owner states, and lets owners add copies to active images. **Owners can then change "
    "what such an image delivers.**",
)
IMAGECATALOG_EXPECT_OWNER_DIGEST = env.flag(
    "IMAGECATALOG_EXPECT_OWNER_DIGEST",
    False,
    help="`on`: the first data of an image must have the digests in its properties "
    "`owner_specified.openstack.sha256` and `.md5`, which openstacksdk and Ansible set. See "
    "[Expected digests](api.md#expected-digests).",
)
IMAGECATALOG_VERIFY_EVERY = env.seconds(
    "IMAGECATALOG_VERIFY_EVERY",
    30 * 86400,
    help="Seconds after which the background worker reads each copy again and compares it with "
    "the digests of its image. `0`: never. See [Verification](operations.md#verification).",
    shown="`30d`",
)
IMAGECATALOG_VERIFY_RATE = env.size_or(
    "IMAGECATALOG_VERIFY_RATE",
    "50MB",
    help="Bytes per second that each background worker reads to verify copies, at least 1 MB. "
    "`0`: no limit.",
)
if 0 < IMAGECATALOG_VERIFY_RATE < 1 << 20:
    # A worker must read a block much faster than its lease of the copy ends.
    raise ImproperlyConfigured("IMAGECATALOG_VERIFY_RATE must be 0 or at least 1 MB.")
IMAGECATALOG_VERIFY_HOURS = env.hours(
    "IMAGECATALOG_VERIFY_HOURS",
    "0-24",
    help="Hours of the day (UTC) in which background workers verify copies, for example `22-6`.",
)
IMAGECATALOG_REPAIR = env.flag(
    "IMAGECATALOG_REPAIR",
    False,
    help="`on`: a copy that a verification finds damaged is replaced by a new one, made of the "
    "image's data in another store; the damaged copy goes to the trash.",
)
IMAGECATALOG_LEASE_SECONDS = env.seconds(
    "IMAGECATALOG_LEASE_SECONDS",
    60,
    minimum=5,
    help="Seconds without a heartbeat after which a transfer or a job counts as dead (at least "
    "5). The partial data of a transfer is removed one more lease later.",
)
IMAGECATALOG_TRANSFER_SECONDS = env.seconds(
    "IMAGECATALOG_TRANSFER_SECONDS",
    86400,
    1,
    help="Seconds that one transfer may take in total.",
)
IMAGECATALOG_SMALL_CHUNK_RATE = env.number(
    "IMAGECATALOG_SMALL_CHUNK_RATE",
    60,
    help="Requests with less than 64 KiB of a resumable upload, other than its last ones, that "
    "one machine accepts for the images of one project in a minute; ten times as many may come "
    "at once. More are refused (429). `0`: no limit.",
)
IMAGECATALOG_UPLOAD_EXPIRY = env.seconds(
    "IMAGECATALOG_UPLOAD_EXPIRY",
    86400,
    1,
    help="Seconds that a resumable upload may pause.",
)

# Publishing: images/publishing
IMAGECATALOG_PUBLISH = env.choice(
    "IMAGECATALOG_PUBLISH",
    "off",
    ("off", "public", "signed-in"),
    help="Whether families with `publish` are files below `/pub/`: `off`; `public`: those of all "
    "projects with their public images, for everybody; `signed-in`: for clients that sign in, "
    "also those of their projects. See [Publishing](publishing.md).",
)
IMAGECATALOG_PUBLISH_VERSIONS = env.number(
    "IMAGECATALOG_PUBLISH_VERSIONS",
    20,
    1,
    1000,
    help="Versions of each family that are published: the current one and the newest others.",
)
IMAGECATALOG_PUBLISH_RAW_EXTENSION = env.choice(
    "IMAGECATALOG_PUBLISH_RAW_EXTENSION",
    "raw",
    ("raw", "img"),
    help="Extension of the names of published raw disks. Proxmox wants `img`.",
)
IMAGECATALOG_PUBLISH_KEY = env.folder(
    "IMAGECATALOG_PUBLISH_KEY",
    help="Folder with the secret key that signs what is published, made by `publish_key`. Unset: "
    "nothing is signed. See [Signatures](publishing.md#signatures).",
)
IMAGECATALOG_PUBLISH_JUJU = env.region(
    "IMAGECATALOG_PUBLISH_JUJU",
    help="`REGION,AUTH_URL` of the OpenStack cloud whose users boot the images: publishes an index "
    "for Juju too. See [Juju](publishing.md#juju).",
)

IMAGECATALOG_IMPORT_METHODS = env.chosen(
    "IMAGECATALOG_IMPORT_METHODS",
    ("glance-direct", "web-download", "copy-image", "glance-download"),
    help="Comma-separated methods by which clients may import data. Without `glance-direct` no "
    "data can be staged; `glance-download` needs Keystone or `IMAGECATALOG_REMOTES`.",
)
IMAGECATALOG_REMOTES = env.text(
    "IMAGECATALOG_REMOTES",
    help="Comma-separated `REGION=URL` pairs of other image services, from which the method "
    "`glance-download` imports. `?credentials=FILE` after a URL names a JSON file with the "
    "credentials. See [Other image services](operations.md#other-image-services).",
)
IMAGECATALOG_IMPORT_PLUGINS = env.relaxed(
    "IMAGECATALOG_IMPORT_PLUGINS",
    "none",
    ("image_decompression", "image_conversion", "inject_image_metadata"),
    help="`none`, or comma-separated plugins that change what clients import: "
    "`image_decompression`, `image_conversion`, `inject_image_metadata`. See "
    "[Import plugins](operations.md#import-plugins).",
)
IMAGECATALOG_CONVERSION_FORMAT = env.choice(
    "IMAGECATALOG_CONVERSION_FORMAT",
    "raw",
    ("raw", "qcow2", "vmdk"),
    help="Disk format to which the plugin `image_conversion` converts: `raw`, `qcow2` or `vmdk`.",
)
IMAGECATALOG_INJECTED_PROPERTIES = env.pairs(
    "IMAGECATALOG_INJECTED_PROPERTIES",
    help="Comma-separated `NAME:VALUE` pairs that the plugin `inject_image_metadata` sets as "
    "properties.",
)
IMAGECATALOG_INJECTION_IGNORED_ROLES = env.words(
    "IMAGECATALOG_INJECTION_IGNORED_ROLES",
    "admin",
    help="Comma-separated roles; `inject_image_metadata` sets nothing for a caller with one of "
    "them.",
)
IMAGECATALOG_TASK_TIME_TO_LIVE = env.seconds(
    "IMAGECATALOG_TASK_TIME_TO_LIVE",
    172800,
    help="Seconds for which an import that has ended is listed as a task.",
)
IMAGECATALOG_JOB_TIME_TO_LIVE = env.seconds(
    "IMAGECATALOG_JOB_TIME_TO_LIVE",
    2592000,
    help="Seconds for which a job that has ended is listed.",
)

# HTTP
IMAGECATALOG_V1 = env.flag("IMAGECATALOG_V1", True, help="`off` disables API v1.")
IMAGECATALOG_RATE_LIMIT = env.number(
    "IMAGECATALOG_RATE_LIMIT",
    0,
    help="API requests of one project in a minute that one machine answers; so many may also "
    "come at once. More are refused (429). `0`: no limit.",
)
IMAGECATALOG_PUBLIC_URL = env.base_url(
    "IMAGECATALOG_PUBLIC_URL",
    shown="from the request",
    help="Base of the links that the service returns, such as "
    "`https://images.example.org`. Needed for `clouds_yaml`, and for the admin behind a proxy "
    "that terminates TLS and does not pass `Host` and `X-Forwarded-Proto`. With `https`, browsers "
    "are told to use TLS only (HSTS, one year).",
)
IMAGECATALOG_TRUSTED_PROXIES = env.networks(
    "IMAGECATALOG_TRUSTED_PROXIES",
    "unix",
    help="Comma-separated addresses and networks of the proxies in front, and `unix` "
    "for a Unix socket. Their `X-Forwarded-*` headers are trusted. See "
    "[Reverse proxy](operations.md#reverse-proxy).",
)
IMAGECATALOG_CORS_ORIGINS = env.origins(
    "IMAGECATALOG_CORS_ORIGINS",
    help="Comma-separated origins, such as `https://dashboard.example.org`, whose pages can use "
    "the APIs in a browser (CORS). See [Pages of other sites](operations.md#pages-of-other-sites).",
)
# A client that sends nothing for half a lease is cut off before its transfer expires.
IMAGECATALOG_BODY_TIMEOUT = env.seconds(
    "IMAGECATALOG_BODY_TIMEOUT",
    IMAGECATALOG_LEASE_SECONDS // 2,
    minimum=1,
    shown="half of `IMAGECATALOG_LEASE_SECONDS`",
    help="Seconds without a byte after which an upload is cut off. Must be less than "
    "`IMAGECATALOG_LEASE_SECONDS`.",
)
if IMAGECATALOG_BODY_TIMEOUT >= IMAGECATALOG_LEASE_SECONDS:
    raise ImproperlyConfigured(
        "IMAGECATALOG_BODY_TIMEOUT must be less than IMAGECATALOG_LEASE_SECONDS: "
        "the lease of a stalled upload would expire before the upload is cut off."
    )
IMAGECATALOG_WORKERS = env.number(
    "IMAGECATALOG_WORKERS",
    2,
    minimum=1,
    help="Number of web processes. Each serves 64 requests at a time.",
)
IMAGECATALOG_GRACE_SECONDS = env.seconds(
    "IMAGECATALOG_GRACE_SECONDS",
    30,
    minimum=2,
    help="Seconds that running requests get to finish when the service stops.",
)
IMAGECATALOG_STOP_DELAY = env.seconds(
    "IMAGECATALOG_STOP_DELAY",
    0,
    help="Seconds after SIGTERM in which the service still accepts requests but is not ready, "
    "so that load balancers send new ones elsewhere. `IMAGECATALOG_GRACE_SECONDS` begin after "
    "them.",
)
IMAGECATALOG_RELOAD_SECONDS = env.seconds(
    "IMAGECATALOG_RELOAD_SECONDS",
    86400,
    minimum=2,
    help="Seconds that running requests get to finish when the service is "
    "[reloaded](upgrade.md#reload), while new processes serve.",
)
IMAGECATALOG_ACCESS_LOG = env.flag(
    "IMAGECATALOG_ACCESS_LOG",
    False,
    help="`on` writes one line per request to the log: client, request line, status, "
    "bytes and duration. Probes have a line only if they fail.",
)

INSTALLED_APPS = [
    "imagecatalog.identity",  # its command createsuperuser replaces that of django.contrib.auth
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # its templates, for FORM_RENDERER
    "axes",
    "imagecatalog.admin.ImagesConfig",
    "imagecatalog.admin.AdminConfig",
]
if IMAGECATALOG_OIDC_ISSUER:
    INSTALLED_APPS += ["imagecatalog.accounts.AccountsConfig", "allauth.socialaccount"]
SOCIALACCOUNT_ADAPTER = "imagecatalog.identity.oidc.Errors"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # s
MIDDLEWARE = [
    "imagecatalog.middleware.request_id",
    "imagecatalog.middleware.note_route",
    "imagecatalog.middleware.safe_headers",
    "imagecatalog.cors.cors",
    "imagecatalog.middleware.notice_database",
    "imagecatalog.middleware.refuse_broken_urls",
    "imagecatalog.middleware.for_browsers",
]
ROOT_URLCONF = "imagecatalog.urls"
WSGI_APPLICATION = "imagecatalog.wsgi.application"
APPEND_SLASH = False

DATABASES = {
    "default": env.database(
        "DATABASE_URL",
        f"sqlite:///{quote(str(IMAGECATALOG_DATA_DIR))}/catalogue.sqlite3",
        shown="SQLite in `DATA_DIR`",
        help="URL of the database, such as `postgresql://user@host/database`, or "
        "`sqlite:////srv/catalogue.sqlite3` (four slashes: the path is absolute). It can name "
        "[several hosts](scale-out.md#failover-of-the-database) of PostgreSQL.",
    )
}
if password := env.text(
    "IMAGECATALOG_DATABASE_PASSWORD",
    help="Password for PostgreSQL, if it is not part of `DATABASE_URL`.",
):
    DATABASES["default"]["PASSWORD"] = password
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # FULL: an acknowledged commit survives a power cut, as the objects do.
    # IMMEDIATE: a transaction that first reads and then writes would otherwise fail at once
    # with "database is locked" when another one wrote in between; no timeout helps there.
    DATABASES["default"] |= {
        "ENGINE": "imagecatalog.sqlite",
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
        # The threads of a test share one database, which must be a file.
        "TEST": {"NAME": str(IMAGECATALOG_DATA_DIR / "test.sqlite3")},
    }
else:
    DATABASES["default"]["ENGINE"] = "imagecatalog.postgresql"
    DATABASES["default"]["OPTIONS"] = {
        # A server that has vanished from the network is noticed within seconds.
        "connect_timeout": 2,
        "tcp_user_timeout": 5000,  # ms
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"size": 16, "timeout": 2},
        # The statements of the hot path never change, so PostgreSQL plans them once.
        "server_side_binding": True,
        "prepare_threshold": 5,
    }
IMAGECATALOG_DATABASE_SECONDS = env.seconds(
    "IMAGECATALOG_DATABASE_SECONDS",
    5,
    minimum=1,
    help="Seconds that one statement of a web request may take in the database, after which "
    "the answer is 503. Commands and the background worker have no such limit.",
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The browser admin. Nothing of this touches the API.
IMAGECATALOG_SITE_NAME = env.text(
    "IMAGECATALOG_SITE_NAME",
    "Image catalogue",
    help="Name of the service in the header and the titles of the admin.",
)
IMAGECATALOG_SITE_LOGO = env.text(
    "IMAGECATALOG_SITE_LOGO",
    shown="the logo of this project",
    help="File with the logo in the header of the admin: SVG, PNG, JPEG or WebP, at most 1 MiB. "
    "It is shown 28 pixels high, also to users who are not signed in.",
)
IMAGECATALOG_SITE_BANNER = env.text(
    "IMAGECATALOG_SITE_BANNER",
    help="Text above each page of the admin and of its sign-in, such as `Test system`.",
)
IMAGECATALOG_BROWSER_PATHS = ("/admin/", "/static/")
IMAGECATALOG_BROWSER_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "imagecatalog.middleware.limit_cookies",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "imagecatalog.middleware.content_security_policy",
    "imagecatalog.middleware.plan_for_values",
    "imagecatalog.time_zone.in_time_zone_of_reader",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "imagecatalog.middleware.user_in_log",
    "imagecatalog.middleware.check_forms",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # responds to clients that guess passwords
]
SILENCED_SYSTEM_CHECKS = [
    # These checks expect the middleware in MIDDLEWARE. A test signs in instead.
    *("admin.E408", "admin.E409", "admin.E410", "axes.W002"),
    *("security.W001", "security.W002", "security.W003"),
    # These name settings that no variable sets. Checks of imagecatalog.checks replace them.
    *("security.W010", "security.W011", "security.W012", "security.W025"),
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The wheel has the folder inside the package.
        "DIRS": [
            (BASE_DIR if IN_CHECKOUT else BASE_DIR / "imagecatalog") / "templates"
        ],
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
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # finds those in templates/
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # there is no build step
FILE_UPLOAD_HANDLERS = ["images.http.form_files.RefuseFiles"]
LANGUAGES = [("en", "English")]  # a language that is half translated helps nobody

# The API never receives these cookies, so no web page can use the API with them.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_AGE = 12 * 3600  # s
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IMAGECATALOG_PUBLIC_URL.startswith("https")
CSRF_FAILURE_VIEW = "images.admin.error_pages.csrf_failure"
CSRF_TRUSTED_ORIGINS = ["/".join(IMAGECATALOG_PUBLIC_URL.split("/")[:3])]
CSRF_TRUSTED_ORIGINS = [origin for origin in CSRF_TRUSTED_ORIGINS if origin]

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend"]
if IMAGECATALOG_PASSWORD_FORM:
    AUTHENTICATION_BACKENDS.append("imagecatalog.identity.backends.Passwords")
if IMAGECATALOG_OIDC_ISSUER:
    AUTHENTICATION_BACKENDS.append("imagecatalog.identity.backends.SingleSignOn")
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Otherwise each attempt during a lockout would enlarge its row, and prolong the lockout.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Failures are not counted by the name alone: anyone could lock the administrator out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "imagecatalog.identity.backends.client_address"
AXES_LOCKOUT_CALLABLE = "images.admin.error_pages.locked_out"
AXES_RESET_ON_SUCCESS = True
# The sign-in log has the sign-ins, and the pages of users have the locks.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS: list[str] = []  # the log says who guessed, from where

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
FORMAT_MODULE_PATH = "imagecatalog.formats"
USE_TZ = True
TIME_ZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "images.api.authentication.CallerAuthentication"
    ],
    "DEFAULT_RENDERER_CLASSES": [],  # views answer by http/responses.py
    "DEFAULT_PARSER_CLASSES": [],  # and read bodies by http/request_body.py
    "EXCEPTION_HANDLER": "images.http.exception_handler.handle",
    "UNAUTHENTICATED_USER": None,
}

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_LEVEL = env.choice(
    "IMAGECATALOG_LOG_LEVEL",
    env.choice(
        "LOG_LEVEL",
        "INFO",
        LOG_LEVELS,
        help="Default of `IMAGECATALOG_LOG_LEVEL`.",
    ),
    LOG_LEVELS,
    shown="`INFO`",
    help="Least severe level in the log: `DEBUG`, `INFO`, `WARNING`, `ERROR` or "
    "`CRITICAL`. Also read from `LOG_LEVEL`.",
)
IMAGECATALOG_LOG_FORMAT = env.choice(
    "IMAGECATALOG_LOG_FORMAT",
    "text",
    ("text", "json"),
    help="Format of the log: `text` for people, or `json`, one object per line. See "
    "[Logs](operations.md#logs).",
)
env.declare(
    "IMAGECATALOG_CRASH_FILE",
    help="For crash tests only: file with the name of the failpoint at which a process "
    "kills itself. Never set it in production.",
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "images.logs.TextFormatter"},
        "json": {"()": "images.logs.JsonFormatter"},
    },
    "filters": {"failures_only": {"()": "images.logs.FailuresOnly"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": IMAGECATALOG_LOG_FORMAT,
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # A refused request is not worth a warning in the operator's log.
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["failures_only"]},
        "django.security.DisallowedRedirect": {"level": "CRITICAL"},
        "gunicorn.access": {"level": "INFO"},  # IMAGECATALOG_ACCESS_LOG switches it
        # Its warnings are of errors that follow another one, of which outages.py has a line.
        "psycopg": {"level": "ERROR"},
        "axes": {"level": "WARNING"},  # four lines for each sign-in otherwise
        # It reports the options of its sign-in plugin as unknown, and then uses them.
        "keystonemiddleware._common.config": {"level": "ERROR"},
    },
}

# What the command `doctor --show-settings` prints. The last line, when all variables are declared.
IMAGECATALOG_VARIABLES = effective_variables.listed()
