"""The portal's settings, in Django's order; what varies comes from the environment."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import django_stubs_ext
from csp.constants import NONE, SELF
from whitenoise.compress import Compressor

from portal.env import NEAR, SYSTEMS, Environment
from portal.logs import FORMATS, logging_settings
from portal.nix import nix_options
from portal.openpgp import openpgp_key_file
from portal.schedule import TICKS

django_stubs_ext.monkeypatch()

env = Environment()

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
TESTING = "pytest" in sys.modules
DATA_DIR = env.data_dir(BASE_DIR / "var" / "test" if TESTING else BASE_DIR / "var")

# Core

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = env.secret_key(DATA_DIR)
# 10.0.2.2 is this machine as a QEMU guest sees it: `manage.py boot` loads images from there.
ALLOWED_HOSTS = env.allowed_hosts(["localhost", "127.0.0.1", "[::1]", "10.0.2.2"], debug=DEBUG)
PORTAL_URL = env.portal_url()
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
APPEND_SLASH = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "portal.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_celery_beat",
    "ninja",
    "builds",
]

MIDDLEWARE = [
    "portal.request_id.RequestIdMiddleware",
    "portal.measured.MeasuringMiddleware",
    # Headers first, so that whatever answers below has them: a file, a refusal, an error.
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.headers.ClosingHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.compression.PageCompression",
    "builds.api.middleware.ApiMiddleware",
    "portal.methods.KnownMethods",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.language.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "builds.web.looks.looks",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database: gunicorn's threads share connections to PostgreSQL; a server gives out 100, and with
# one for each thread, of which there are 512, it would refuse everybody. Workers need a few each.

DATABASE_POOL = env.integer("DATABASE_POOL", 20, least=1)
IS_WEB = "gunicorn.arbiter" in sys.modules
DATABASES = {"default": env.database(DATA_DIR, pool=DATABASE_POOL if IS_WEB else 0)}

# Language and time: pages are English and German (`make messages`); schedules and every time
# shown are UTC.

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # seconds
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True

# Security

OIDC = env.oidc()
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
IS_HTTPS = PORTAL_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
# With that prefix a browser takes the cookie from this host alone, by HTTPS alone.
SESSION_COOKIE_NAME = "__Host-sessionid" if IS_HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if IS_HTTPS else "csrftoken"
SESSION_COOKIE_AGE = 7 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [PORTAL_URL] if PORTAL_URL else []
# Plain HTTP stays open on purpose: common iPXE builds have no HTTPS, and a boot URL must never
# redirect there. The front server upgrades pages; see docs/.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        # A form that leads to the issuer is held to this too.
        "form-action": [SELF, *([OIDC.origin] if OIDC else [])],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

# Signing in, for staff: by password with a second factor, by passkey, or by OpenID Connect. Nobody
# signs up. The limits on guessing count in Redis, for all web processes; without it nobody gets in.

REQUIRE_MFA = env.boolean("REQUIRE_MFA", default=False)
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
ACCOUNT_ADAPTER = "portal.accounts.AccountAdapter"
ACCOUNT_FORMS = {"login": "portal.accounts.LoginForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "dashboard"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,5/300s/key", "login": "60/m/ip"}
TRUSTED_PROXIES = ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXIES", 0)
MFA_ADAPTER = "portal.accounts.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "NixOS images"
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_HTTPS  # browsers themselves allow it on localhost only
SOCIALACCOUNT_ADAPTER = "portal.accounts.OidcAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC.name,
                "client_id": OIDC.client_id,
                "secret": OIDC.client_secret,
                "settings": {"server_url": OIDC.issuer},
            }
        ]
        if OIDC
        else [],
    }
}

# API tokens: how long they live (days), how often one may ask (times a minute), and how many builds
# may wait before programs are asked to come again later.

TOKEN_DAYS, TOKEN_DAYS_MOST = env.token_days()
TOKEN_RATE = env.integer("TOKEN_RATE", 60, least=1)
QUEUE_MOST = env.integer("QUEUE_MOST", 100, least=1)

# Files that one public address may fetch in a minute, 0 for any number; open without Redis.

DOWNLOAD_RATE = env.integer("DOWNLOAD_RATE", 1200)

# Files: the portal's own static ones, and the artifacts

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = False
# Source maps are for those who open the developer tools; compressing them took 20 s of a start.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = [*Compressor.SKIP_COMPRESS_EXTENSIONS, "map"]

AWS_STORAGE_BUCKET_NAME = env.text("AWS_STORAGE_BUCKET_NAME")
AWS_S3_ENDPOINT_URL = env.text("AWS_S3_ENDPOINT_URL") or None
AWS_S3_REGION_NAME = env.text("AWS_S3_REGION_NAME") or None
AWS_S3_ACCESS_KEY_ID = env.text("AWS_S3_ACCESS_KEY_ID") or env.text("AWS_ACCESS_KEY_ID") or None
AWS_S3_SECRET_ACCESS_KEY = (
    env.text("AWS_S3_SECRET_ACCESS_KEY") or env.text("AWS_SECRET_ACCESS_KEY") or None
)
AWS_QUERYSTRING_AUTH = False  # signed URLs die in an hour; copied commands must live for years
AWS_S3_FILE_OVERWRITE = False

# Servers that know no x-amz-checksum-sha256 want it off; the self-test at the start says so.
S3_CHECKSUMS = env.boolean("S3_CHECKSUMS", default=True)

# Who sends the bytes: the front server, told by X-Accel-Redirect (deploy/nginx), and for all but
# what firmware and iPXE load, the storage itself, by a redirect to a signed or a public URL.
X_ACCEL_REDIRECT = env.boolean("X_ACCEL_REDIRECT", default=False)
DOWNLOAD_REDIRECT = env.download_redirect(in_bucket=bool(AWS_STORAGE_BUCKET_NAME))

_folder = {"BACKEND": "builds.storage.FolderStorage", "OPTIONS": {"location": DATA_DIR / "storage"}}
_bucket = {"BACKEND": "builds.storage.BucketStorage"}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "artifacts": _bucket if AWS_STORAGE_BUCKET_NAME else _folder,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}

# Celery: it carries ids; the database is the truth, so there is no result backend.

REDIS_URL = env.redis_url(DATA_DIR)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    if TESTING
    else {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.cache_url(REDIS_URL),
        "KEY_PREFIX": "portal",
    }
}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.2}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task that is handed out again while the first worker still runs it would build twice; leases
# hold that off, and a timeout longer than any build keeps it from being tried.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 24 * 3600}
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = TICKS
CELERY_BEAT_SYNC_EVERY = 1  # each tick is noted at once: /status/ tells whether beat lives
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# Building

NIX_PROGRAM = env.text("NIX_PROGRAM", "nix")
NIX_OFFLINE = env.boolean("NIX_OFFLINE", default=False)
BUILD_TIME_LIMIT = env.integer("BUILD_TIME_LIMIT", 6 * 3600, least=1)
BUILD_SILENCE_LIMIT = env.integer("BUILD_SILENCE_LIMIT", 3600, least=1)
NIX_OPTIONS = nix_options(env)
# A Hydra is asked at public addresses by https, and in these networks also by http.
HYDRA_NETWORKS = env.networks("HYDRA_NETWORKS")
# The bytes that a build is to find free, in the Nix store and in the data folder.
DISK_FREE_LEAST = env.integer("DISK_FREE_LEAST", 2**30)
BUILD_LOG_LIMIT = env.integer("BUILD_LOG_LIMIT", 256 * 1024**2, least=1024**2)  # bytes
BOOT_TIME_LIMIT = env.integer("BOOT_TIME_LIMIT", 300, least=1)
# What the catalogue calls checks_after: boots that nobody waits for, some minutes of them.
CHECK_LATER = env.boolean("CHECK_LATER", default=True)
# How long a machine leaves it to another one to build again what it has built itself.
REBUILD_ELSEWHERE_SECONDS = env.integer("REBUILD_ELSEWHERE_SECONDS", 600, least=0)
BUILD_RETRY_SECONDS = env.integer("BUILD_RETRY_SECONDS", 30)
LEASE_SECONDS, HEARTBEAT_SECONDS = env.lease()

# Signing: by a process of its own, which alone reads the keys.

SIGNER_SOCKET, SIGNER_KEYS = env.signer(DATA_DIR)
SIGNER = {"BACKEND": "builds.signing.SocketSigner", "OPTIONS": {"path": str(SIGNER_SOCKET)}}
MANIFEST_EXPIRES_DAYS = env.integer("MANIFEST_EXPIRES_DAYS", 400, least=1)
# For so long the signer's word holds that a release is the latest; it is given anew every day.
TIMESTAMP_EXPIRES_DAYS = env.integer("TIMESTAMP_EXPIRES_DAYS", 14, least=2)

# Telling those outside: e-mail is off where EMAIL_URL is not set; webhooks and looks at
# mirrors reach public addresses and these networks only.

EMAIL = env.email()
MAIL_IS_ON = ACCOUNT_EMAIL_NOTIFICATIONS = bool(EMAIL)
EMAIL_BACKEND = EMAIL.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST = EMAIL.get("EMAIL_HOST")
EMAIL_PORT = EMAIL.get("EMAIL_PORT")
EMAIL_HOST_USER = EMAIL.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = EMAIL.get("EMAIL_FILE_PATH")
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.mail_from(PORTAL_URL)
WEBHOOK_NETWORKS = env.networks("WEBHOOK_NETWORKS")
MIRROR_NETWORKS = env.networks("MIRROR_NETWORKS")
# So many bytes of one file of each mirror are hashed a day; a longer file is not hashed there.
MIRROR_DIGEST_BYTES = env.integer("MIRROR_DIGEST_BYTES", 2 * 2**30)
MIRROR_PATIENCE_SECONDS = env.integer("MIRROR_PATIENCE_SECONDS", 30, least=1)  # a small file
STALE_AFTER_DAYS = env.integer("STALE_AFTER_DAYS", 9, least=1)

# Uploads of images that were built elsewhere

UPLOAD_BYTES_MOST = env.integer("UPLOAD_BYTES_MOST", 16 * 2**30, least=1)  # of all its files
UPLOAD_FILES_MOST = env.integer("UPLOAD_FILES_MOST", 32, least=1)
UPLOADS_AT_ONCE = env.integer("UPLOADS_AT_ONCE", 4, least=1)  # unfinished ones of one token
UPLOAD_KEPT_HOURS = env.integer("UPLOAD_KEPT_HOURS", 48, least=1)  # since something last came

# Keeping: how long what may go still stays, and how fast stored files are hashed again

COLLECT_GRACE_DAYS = env.integer("COLLECT_GRACE_DAYS", 7, least=1)
COLLECT_FAILED_DAYS = env.integer("COLLECT_FAILED_DAYS", 2, least=1)
EVENTS_KEPT_DAYS = env.integer("EVENTS_KEPT_DAYS", 365, least=30)
SCRUB_MIB_PER_SECOND = env.integer("SCRUB_MIB_PER_SECOND", 50, least=1)

# What other programs read: the key, without a passphrase, that signs simplestreams; none, no .sjson

OPENPGP_KEY_FILE = openpgp_key_file(env)

# Following: another portal, or a mirror of one, whose releases are published here too. It is named
# on this machine, so that it may have any address; what is followed of it is said by the others.

FOLLOW_URL = env.url("FOLLOW_URL")
FOLLOW_CHANNELS = env.words("FOLLOW_CHANNELS")
FOLLOW_SYSTEMS = env.words("FOLLOW_SYSTEMS", SYSTEMS)
FOLLOW_PATIENCE_SECONDS = env.integer("FOLLOW_PATIENCE_SECONDS", 30, least=1)  # a small file
FOLLOW_ALLOWED_SIGNERS = env.readable_file("FOLLOW_ALLOWED_SIGNERS")

# Watching: each watcher of a live log holds a thread of its web process, of which gunicorn has 256;
# those past this many in a process are asked to poll.

WATCHERS_MOST = env.integer("WATCHERS_MOST", 200, least=1)

# Numbers for Prometheus: who has the token may read them; without one, who is near.

METRICS_TOKEN = env.token("METRICS_TOKEN")
METRICS_NETWORKS = env.networks("METRICS_NETWORKS", NEAR)

# Logging: one line each, to standard error; the supervisor or journald keeps them.

LOG_FORMAT = env.choice("LOG_FORMAT", FORMATS)
ACCESS_LOG = env.boolean("ACCESS_LOG", default=LOG_FORMAT == "json")
LOGGING = logging_settings(LOG_FORMAT)
