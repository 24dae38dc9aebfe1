"""Settings `openai.*` and `tavus.*`: services that are named as their own programs name them."""

from pydantic import Field

from libacli.config_values import Headers, Key, Query
from libacli.settings.group import Group


class ServiceSettings(Group):
    """Keys and addresses of who speaks and who shows a face."""

    openai_api_key: Key = Field(default=None, description="Key for OpenAI speech")
    openai_base_url: str = Field(
        default="", repr=False, description="Another server with the same speech API; empty: OpenAI's own"
    )
    openai_headers: Headers = Field(
        default=None,
        description="Headers of each request: NAME=VALUE, or a table; also named OPENAI_CUSTOM_HEADERS",
    )
    openai_query: Query = Field(
        default=None, description="Parameters in the address of each request: api-version=..., or a table"
    )
    openai_org_id: str = Field(default="", description="Organization that pays, if the key has several")
    openai_project_id: str = Field(default="", description="Project that pays, if the key has several")

    tavus_api_key: Key = Field(default=None, description="Key for the avatar service")
    tavus_face_id: str = Field(
        default="",
        description="The avatar's face, if not Tavus's own (the local one has two, hana and theo); "
        "older name: replica_id, TAVUS_REPLICA_ID",
    )
    tavus_pal_id: str = Field(
        default="", description="The avatar's behaviour; older name: persona_id, TAVUS_PERSONA_ID"
    )
    tavus_base_url: str = Field(
        default="https://tavusapi.com", repr=False, description="Address of the avatar service"
    )
