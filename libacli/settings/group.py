"""What all groups of settings have in common: `libacli.config` makes one value of them."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """Fields `section_key`, each with its default, bounds, and the words that describe it.

    A group is no value of its own: pydantic builds `Settings` alone. Its modules do without annotations as
    text, which would have to be read back when liba starts.
    """

    model_config = ConfigDict(defer_build=True)
