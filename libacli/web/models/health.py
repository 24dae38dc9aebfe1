"""That it is well."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """That it is well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str
    shared: str | None = Field(default=None, description="`ok` or `unreachable`: what servers share")
