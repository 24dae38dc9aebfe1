"""Which programs we start, and what they get of our environment: no key, nothing they need not have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Literal

Kind = Literal["program", "python", "liba", "pip", "go", "npm", "browser"]
"""Any program · Python, with network · another command of liba, with its settings · tools that fetch and
build · a browser."""

_ALWAYS = """PATH HOME USER LOGNAME TMPDIR LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES TZ
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME LD_LIBRARY_PATH"""
_NETWORK = """HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"""
_PYTHON = f"""{_NETWORK} PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PYTHONUTF8
    PYTHONWARNINGS VIRTUAL_ENV"""
_OF: Mapping[Kind, str] = {
    "program": "",
    "python": _PYTHON,
    "liba": f"{_PYTHON} PROMETHEUS_MULTIPROC_DIR GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "pip": f"""{_PYTHON} PIP_CACHE_DIR PIP_CERT PIP_CONFIG_FILE PIP_DEFAULT_TIMEOUT PIP_EXTRA_INDEX_URL
        PIP_FIND_LINKS PIP_INDEX_URL PIP_NO_INDEX PIP_PROXY PIP_TRUSTED_HOST UV_CACHE_DIR UV_CONFIG_FILE
        UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INDEX UV_INDEX_URL UV_INSECURE_HOST UV_NATIVE_TLS
        UV_NO_INDEX UV_OFFLINE""",
    "go": f"""{_NETWORK} GOAUTH GOCACHE GOENV GOFLAGS GOINSECURE GOMAXPROCS GOMODCACHE GONOPROXY GONOSUMDB
        GOPATH GOPRIVATE GOPROXY GOSUMDB GOVCS""",
    "npm": f"{_NETWORK} NODE_EXTRA_CA_CERTS "
    + " ".join(
        f"{prefix}_{name}"
        for name in ("registry", "cache", "cafile", "proxy", "https_proxy", "noproxy", "userconfig")
        for prefix in ("npm_config", "NPM_CONFIG")
    ),
    "browser": f"""{_NETWORK} BROWSER DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS
        DESKTOP_SESSION GNOME_DESKTOP_SESSION_ID KDE_FULL_SESSION XDG_CURRENT_DESKTOP XDG_DATA_DIRS
        XDG_CONFIG_DIRS XDG_SESSION_ID XDG_SESSION_TYPE WSL_DISTRO_NAME WSL_INTEROP""",
}
_SETTINGS = ("LIBA_", "LIVEKIT_", "OPENAI_", "TAVUS_", "OTEL_")
"""How the variables begin that are settings of liba, or of what it tells its numbers to."""


def on_path(name: str) -> str | None:
    """The program of that name in PATH's absolute folders.

    An empty or relative entry is the current folder, and that may be anybody's repository.
    """
    return shutil.which(name, path=_absolute(os.environ.get("PATH", os.defpath)))


def _is_setting(name: str) -> bool:
    """Whether a child may have it as a setting. What NAME_FILE names is read: it comes as its `own` NAME."""
    return name.startswith(_SETTINGS) and not name.endswith("_FILE")


def _absolute(path: str) -> str:
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))


def environment_of(kind: Kind, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a child of this kind: what it may have of ours, and what is its `own`."""
    passed_on = {*_ALWAYS.split(), *_OF[kind].split()}
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in passed_on or (kind == "liba" and _is_setting(name))
    }
    # An empty one would mean the current folder; without any, the system's own folders are looked in.
    if not (path := _absolute(environment.pop("PATH", ""))):
        return environment | dict(own or {})
    return environment | {"PATH": path} | dict(own or {})
