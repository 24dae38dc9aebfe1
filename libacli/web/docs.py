"""GET /docs: the API to read and to try, without a file from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from libacli.web.page import VENDOR

router = APIRouter()

_VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css")

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>liba: HTTP API</title>
<link rel="icon" href="static/favicon.svg" type="image/svg+xml">
"""
_SWAGGER = (
    _HEAD
    + """<link rel="stylesheet" href="static/vendor/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="static/vendor/swagger-ui-bundle.js"></script>
<script src="static/docs.js"></script>
</body>
</html>
"""
)
_PLAIN = (
    _HEAD
    + """</head>
<body>
<h1>liba: HTTP API</h1>
<p>It is described in <a href="openapi.json">openapi.json</a>, for any viewer of OpenAPI documents.</p>
<p>The viewer that belongs here was not installed: it comes with an installation where Node is there.</p>
</body>
</html>
"""
)


@router.get("/docs", include_in_schema=False)
async def get_docs() -> HTMLResponse:
    return HTMLResponse(docs_page(VENDOR))


def docs_page(vendor: Path) -> str:
    """The viewer if its files are in the folder `vendor`, else where the document is."""
    has_viewer = all((vendor / name).is_file() for name in _VIEWER)
    return _SWAGGER if has_viewer else _PLAIN
