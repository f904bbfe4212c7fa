"""Django's settings for a Master.

Everything that differs between Masters comes from two environment variables: `FREEHOLD_MASTER_ROOT`, the
folder with the Master's keys, archives and (by default) database, and `DATABASE_URL`, a PostgreSQL database to
use instead of SQLite.
"""

import os
from pathlib import Path

import dj_database_url

ROOT = Path(os.environ.get("FREEHOLD_MASTER_ROOT", "/var/lib/freehold-master"))
"""The Master's folder."""

_secret = ROOT / "secret.key"
SECRET_KEY = _secret.read_text().strip() if _secret.exists() else "only-for-commands-before-init"
DEBUG = False
ALLOWED_HOSTS = ["*"]
"""Nodes and people reach a Master by many names; no link that is kept or sent is built from the Host header."""

DATABASE_URL = os.environ.get("DATABASE_URL") or f"sqlite:///{ROOT / 'master.sqlite'}"
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=None)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # What was acknowledged survives a power cut: FULL syncs the log at each commit (0.5 ms here).
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=268435456;",
    }
else:
    # Our statements are many and small, or large and of known shape: to compile them, or to have several processes at
    # one, costs more than it saves (`bench/billing.py`), and what a monthly run sorts fits in memory.
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    # What the URL says (`?options=…`) goes last and wins.
    _options["options"] = (
        f"-c jit=off -c max_parallel_workers_per_gather=0 -c work_mem=32MB {_options.get('options', '')}"
    )
    # What is run so often is prepared, where `sql.Query` allows it.
    _options.setdefault("prepare_threshold", 5)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "ninja",
    *(
        f"freehold.master.{room}"
        for room in (
            "foundation",
            "generation",
            "people",
            "accounting",
            "catalog",
            "sales",
            "fleet",
            "ordering",
            "monitoring",
            "usage",
            "payments",
            "billing",
            "support",
            "notifications",
            "tasks",
            "panel",
        )
    ),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "freehold.master.panel.security.EndingSessions",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "freehold.master.panel.security.ContentSecurityPolicy",
    "freehold.master.foundation.problem_responses.ProblemsForPrograms",
]
ROOT_URLCONF = "freehold.master.urls"
AUTH_USER_MODEL = "people.Person"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "freehold.master.panel.decorators.not_our_form"
SESSION_ENGINE = "freehold.master.people.sessions"
SESSION_COOKIE_AGE = 12 * 3600
# Of this very host, with TLS only (ASVS 3.4.4).
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "French"), ("zh-hans", "Simplified Chinese")]
LANGUAGE_COOKIE_SECURE = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
STATIC_URL = "/static/"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"escaping": {"()": "freehold.escaping.Formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "escaping"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}

CHILD_GRACE_S = float(os.environ.get("FREEHOLD_CHILD_GRACE", str(24 * 3600)))
"""Seconds for which an instance that its parent does not request any more can be had back."""
DESTROY_GRACE_S = float(os.environ.get("FREEHOLD_DESTROY_GRACE", str(3 * 24 * 3600)))
"""Seconds for which a service that somebody destroyed is stopped and can be had back; 0: its end is at once."""
PASSKEY_HOST = os.environ.get("FREEHOLD_PASSKEY_HOST", "localhost")
"""The name that passkeys are made for (WebAuthn's relying party): that of the Master, or a domain that it is in. Under
another one those that were made open nothing."""
CACHE_MB = int(os.environ.get("FREEHOLD_CACHE_MB", "20480"))
"""Megabytes of finished builds and downloads that are kept for nodes; what was not used for longest goes first."""
# Seconds beyond its lease before a node is taken for lost: clocks do not run equally fast.
LEASE_MARGIN = float(os.environ.get("FREEHOLD_LEASE_MARGIN", "10"))
BROKEN_S = float(os.environ.get("FREEHOLD_BROKEN_AFTER", "300"))
"""Seconds for which a promise is not kept, or a node not heard, before people are told by messages."""
PUBLIC_URL = os.environ.get("FREEHOLD_PUBLIC_URL", "")
"""Where people reach this Master, as `https://cloud.example.org`: messages link there. Empty: they have no links."""
SMTP_URL = os.environ.get("FREEHOLD_SMTP_URL", "")
"""The mail server (`notifications.smtp.parse`); empty: no mail is sent."""
SMTP_PASSWORD_FILE = os.environ.get("FREEHOLD_SMTP_PASSWORD_FILE", "")
MAIL_FROM = os.environ.get("FREEHOLD_MAIL_FROM", "")
"""Who mail is from: an address, or `Name <address>`."""
WEBHOOKS_INSIDE = os.environ.get("FREEHOLD_WEBHOOKS_INSIDE", "") == "yes"
"""Whether webhooks may be addresses that are not public, and without TLS: where all projects are the operator's own."""
NODE_WAIT = float(os.environ.get("FREEHOLD_NEXT_CONTACT", "60"))
"""Seconds after which a node should contact the Master again when it has nothing to say."""
