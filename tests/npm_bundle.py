"""A script for a page of a test, with the npm packages that it imports: bundled once, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path

from libacli.web.npm import find_npm

ESBUILD = "0.28.2"
_TIMEOUT_S = 600.0
"""The first time all is fetched."""


def bundle(source: str, packages: Mapping[str, str]) -> str:
    """`source`, a module with JSX, as one script; `packages` are name → exact version.

    Needs npm, once. Raises InstallError on a machine that has none: it is not passed over.
    """
    folder = _installed({**packages, "esbuild": ESBUILD})
    script = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.js"
    if not script.exists():
        with tempfile.TemporaryDirectory(dir=folder) as made:
            entry, bundled = Path(made) / "entry.jsx", Path(made) / "bundle.js"
            entry.write_text(source, encoding="utf-8")
            esbuild = str(folder / "node_modules" / ".bin" / "esbuild")
            options = ("--bundle", "--minify", "--define:process.env.NODE_ENV='production'")
            _run(folder, esbuild, str(entry), *options, f"--outfile={bundled}")
            os.replace(bundled, script)
    return script.read_text(encoding="utf-8")


def _installed(packages: Mapping[str, str]) -> Path:
    """A folder with these packages and what they need; no script of theirs is run."""
    manifest = json.dumps({"name": "liba-tests", "private": True, "dependencies": packages}, indent=2)
    cache = user_cache_path("liba") / "npm"
    folder = cache / f"bundle-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            (Path(made) / "package.json").write_text(manifest, encoding="utf-8")
            options = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund")
            _run(Path(made), *find_npm().command, "install", *options)
            shutil.copytree(made, f"{folder}.{os.getpid()}", symlinks=True)
        os.replace(f"{folder}.{os.getpid()}", folder)
    return folder


def _run(folder: Path, *command: str) -> None:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=find_npm().environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert ended.returncode == 0, f"{' '.join(command[:2])}:\n{ended.stderr[-2000:]}"
