"""GET /docs: the API to read and to try, without a file from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from libacli.web.page import VENDOR

router = APIRouter()

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>liba: HTTP API</title>
"""
_SWAGGER = (
    _HEAD
    + """<link rel="stylesheet" href="/static/vendor/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/static/vendor/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""
)
_PLAIN = (
    _HEAD
    + """</head>
<body>
<h1>liba: HTTP API</h1>
<p>It is described in <a href="/openapi.json">openapi.json</a>, for any viewer of OpenAPI documents.</p>
<p>The viewer that belongs here was not installed: it comes with an installation where Node is there.</p>
</body>
</html>
"""
)


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    has_viewer = (VENDOR / "swagger-ui-bundle.js").is_file() and (VENDOR / "swagger-ui.css").is_file()
    return HTMLResponse(_SWAGGER if has_viewer else _PLAIN)
