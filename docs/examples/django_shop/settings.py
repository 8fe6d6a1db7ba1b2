"""As little as Django needs. SHOP_DATABASE names a file, or is postgresql://user@host:port/name."""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
URL = urlsplit(DATABASE)

if URL.scheme == "postgresql":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": URL.path.lstrip("/"),
            "USER": unquote(URL.username or ""),
            "PASSWORD": unquote(URL.password or ""),
            "HOST": unquote(URL.hostname or ""),
            "PORT": URL.port or "",
            "OPTIONS": dict(parse_qsl(URL.query)),
        }
    }
else:
    # IMMEDIATE: a transaction that will write says so at once, and waits for its turn instead of failing.
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATABASE,
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
            "TEST": {"NAME": DATABASE + ".test"},
        }
    }

SECRET_KEY = "only an example"
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
