"""The project's settings, all from the environment (or `.env`); docs/settings.md explains each variable."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.utils.translation import gettext_lazy as _

from billingbridge import security, stores
from billingbridge.env import env_load
from billingbridge.logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = env_load(os.environ, BASE_DIR / ".env")

# --- Who and where -------------------------------------------------------------------------------------
DEMO = env.flag("DEMO")
DEBUG = env.flag("DEBUG")
VAR_DIR = env.folder("VAR_DIR", BASE_DIR / "var")
SECRET_KEY = env.secret_key("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
FIELD_KEYS = env.required_words(
    "FIELD_KEYS", "Set one key or more, newest first, separated by commas; `make keys` prints one."
)
INSTALLATION_ID = env.required(
    "INSTALLATION_ID", "Choose a short name of this installation, such as prod, and never change it."
)
ALLOWED_HOSTS = env.required_words(
    "ALLOWED_HOSTS", "List the host names under which people open this site, separated by commas."
)
PUBLIC_URL = env.required(
    "PUBLIC_URL", "Set the address under which people open this site, such as https://bridge.example.com."
).rstrip("/")
HOST_NAME = env.text("HOST_NAME", "Billingbridge")
SUPPORT_EMAIL = env.text("SUPPORT_EMAIL")
STAFF_EMAILS = env.words("STAFF_EMAILS")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
ALLOW_PLAIN_HTTP = env.flag("ALLOW_PLAIN_HTTP")
BIND = env.text("BIND", "127.0.0.1:8000")

# --- Engine (seconds, unless the name says otherwise) --------------------------------------------------
TICK_SECONDS = env.number("TICK_SECONDS", 1, least=0.05)
SWEEP_SECONDS = env.number("SWEEP_SECONDS", 60, least=0.1)
PROBE_SECONDS = env.number("PROBE_SECONDS", 30, least=0.1)
BACKOFF_BASE = env.number("BACKOFF_BASE", 5, least=0.01)
BACKOFF_CAP = env.number("BACKOFF_CAP", 900, least=0.1)
UNKNOWN_WAIT_SECONDS = env.number("UNKNOWN_WAIT_SECONDS", 75, least=0.1)
INSTALL_POLL_SECONDS = env.number("INSTALL_POLL_SECONDS", 5, least=0.1)
INSTALL_TIMEOUT_SECONDS = env.number("INSTALL_TIMEOUT_SECONDS", 1800, least=1)
JOB_DEADLINE_SECONDS = env.whole("JOB_DEADLINE_SECONDS", 60, least=1)
JOB_TIMEOUT_SECONDS = env.whole("JOB_TIMEOUT_SECONDS", 75, least=2)
LEASE_SECONDS = env.whole("LEASE_SECONDS", 90, least=3)
MAX_ATTEMPTS = env.whole("MAX_ATTEMPTS", 5, least=1)
DRIFT_SECONDS = env.whole("DRIFT_SECONDS", 3_600, least=0)
LISTS_SECONDS = env.whole("LISTS_SECONDS", 21_600, least=0)
OBSERVE_ONLY = env.flag("OBSERVE_ONLY")
CLOCK_OFFSET = env.number("CLOCK_OFFSET", 0, least=-1e9)
CLOCK_SCALE = env.number("CLOCK_SCALE", 1, least=0.001)
CLOCK_EPOCH = env.number("CLOCK_EPOCH", 0)
WEBHOOK_MAX_BYTES = env.whole("WEBHOOK_MAX_BYTES", 262_144, least=1024)
WEBHOOK_TOLERANCE_SECONDS = env.whole("WEBHOOK_TOLERANCE_SECONDS", 300, least=1)
HEALTH_MAX_LAG_SECONDS = env.number("HEALTH_MAX_LAG_SECONDS", 180, least=1)

# --- Databases, caches, queue --------------------------------------------------------------------------
REDIS_URL = env.redis("REDIS_URL")
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.url(
        "DATABASE_URL", stores.sqlite_database(VAR_DIR / "billingbridge.sqlite3"), stores.database_from_url
    )
}
DATABASE_ROUTERS: list[str] = []
CACHES = stores.caches(REDIS_URL)
if not REDIS_URL and DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["cache"] = stores.sqlite_database(VAR_DIR / "cache.sqlite3")
    DATABASE_ROUTERS = ["billingbridge.stores.CacheRouter"]
Q_CLUSTER = stores.queue(
    workers=env.whole("WORKERS", 4, least=1),
    job_timeout=JOB_TIMEOUT_SECONDS,
    scheduler=env.flag("RUN_SCHEDULER", True),
    redis_url=REDIS_URL,
)
# Webhooks that come within so many seconds of each other wake one worker together.
WAKE_PAUSE_SECONDS = 0.1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications --------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "auditlog",
    "csp",
    "django_filters",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "provisioning.apps.ProvisioningConfig",
    "upsell.apps.UpsellConfig",
    # Last: the admin's theme replaces the admin site while it gets ready, and ours is wired after that.
    "billingbridge.apps.SiteConfig",
]
MIDDLEWARE = [
    "billingbridge.proxies.ProxyMiddleware",
    "billingbridge.logging.RequestLogMiddleware",
    # From here on nothing sees a webhook: see there what that spares, and what must stand above.
    "billingbridge.short_path.ShortPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "billingbridge.security.PolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "billingbridge.second_factor.SecondFactorMiddleware",
    "auditlog.middleware.AuditlogMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "billingbridge.urls"
WSGI_APPLICATION = "billingbridge.wsgi.application"
ASGI_APPLICATION = "billingbridge.asgi.application"
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
                "billingbridge.context.site",
            ],
        },
    },
]
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO
        else "billingbridge.static.StaticStorage"
    },
}
# The demo serves files where they lie: collecting and compressing them would be most of its start.
WHITENOISE_USE_FINDERS = DEMO

# --- Language and time ---------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Mail ----------------------------------------------------------------------------------------------
EMAIL_TIMEOUT = 20
MAIL_IN_FILES = environ.Env.email_url_config(f"filemail:///{VAR_DIR.absolute() / 'mail'}")
vars().update(env.url("EMAIL_URL", MAIL_IN_FILES, environ.Env.email_url_config))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", SUPPORT_EMAIL or "billingbridge@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Security ------------------------------------------------------------------------------------------
HTTPS = not ALLOW_PLAIN_HTTP
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^webhooks/"]
HSTS_SECONDS = env.whole("HSTS_SECONDS", 31_536_000)
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = env.flag("HSTS_PRELOAD")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": security.STRICT_POLICY}
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
CSRF_FAILURE_VIEW = "billingbridge.views.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = security.PASSWORD_VALIDATORS

# --- Staff sign-in -------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "billingbridge.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# Counts wrong second factors only: wrong passwords are axes' matter (see AccountAdapter).
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,5/300s/key"}
MFA_ADAPTER = "billingbridge.accounts.SecondFactorAdapter"
MFA_FORMS = {"activate_totp": "billingbridge.accounts.EnrolForm"}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = ALLOW_PLAIN_HTTP
MFA_TOTP_ISSUER = HOST_NAME
MFA_ALLOW_UNVERIFIED_EMAIL = True
FRESH_FACTOR = "billingbridge.fresh.fresh_second_factor"
FRESH_FACTOR_URL = "billingbridge.fresh.fresh_second_factor_url"
FRESH_FACTOR_SECONDS = 300
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "billingbridge.proxies.client_ip"
AXES_USERNAME_CALLABLE = "billingbridge.accounts.attempted_name"
AXES_LOCKOUT_TEMPLATE = "account/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "password"]

# --- API -----------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "EXCEPTION_HANDLER": "provisioning.api.errors.error_response",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "billingbridge",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "BillingStatus": "provisioning.choices.BillingStatus",
        "EventStatus": "provisioning.choices.EventStatus",
        "OperationKind": "provisioning.choices.OperationKind",
        "ProductKind": "provisioning.choices.ProductKind",
    },
}
AUDITLOG_INCLUDE_ALL_MODELS = False

# --- Admin theme ---------------------------------------------------------------------------------------
# The blue of the mark and of the pages outside the admin, from pale to deep.
BRAND = {
    "50": "#eff4ff",
    "100": "#dde8ff",
    "200": "#c2d5ff",
    "300": "#9dbaff",
    "400": "#7498f7",
    "500": "#5580f0",
    "600": "#2455c3",
    "700": "#1d469f",
    "800": "#193b84",
    "900": "#17336d",
    "950": "#0f2147",
}
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": HOST_NAME,
    "SITE_HEADER": HOST_NAME,
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_ICON": "provisioning.admin.navigation.favicon",
    "COLORS": {"primary": BRAND},
    "DASHBOARD_CALLBACK": "provisioning.admin.dashboard.dashboard",
    "SITE_FAVICONS": [{"rel": "icon", "href": "provisioning.admin.navigation.favicon"}],
    "STYLES": ["provisioning.admin.navigation.stylesheet"],
    "SIDEBAR": {"show_search": False, "navigation": "provisioning.admin.navigation.sidebar"},
}

# --- Logs ----------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = logging_config(readable=DEMO or DEBUG, level=LOG_LEVEL)
LOGGING_CONFIG = "logging.config.dictConfig"

env.begin_with_the_file()
SETTINGS_PROBLEMS = env.problems
SETTINGS_NAMES = sorted(set(env.names))
