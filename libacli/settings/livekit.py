"""Settings `livekit.*`: the server, and what opens it."""

from pydantic import Field, SecretStr

from libacli.errors import ConfigError, CredentialsError
from libacli.settings.credentials import LiveKitCredentials
from libacli.settings.group import Group


class LiveKitSettings(Group):
    """Address, key and secret of the LiveKit project."""

    livekit_url: str = Field(
        default="", repr=False, description="Address of the LiveKit server: ws:// or wss://"
    )
    livekit_public_url: str = Field(
        default="",
        repr=False,
        description="The same server for browsers and the avatar service, if they reach it elsewhere",
    )
    livekit_api_key: str = Field(default="", description="API key of the LiveKit project")
    livekit_api_secret: SecretStr | None = Field(default=None, description="Its secret")
    livekit_previous_api_key: str = Field(
        default="", description="While keys are changed: requests signed with this one are accepted too"
    )
    livekit_previous_api_secret: SecretStr | None = Field(default=None, description="Its secret")

    livekit_e2ee_key: SecretStr | None = Field(
        default=None,
        description="Key of rooms that are encrypted end to end: any text, the same for all in the room",
    )

    def livekit(self) -> LiveKitCredentials:
        """URL, key and secret of LiveKit. Raises CredentialsError that names what is missing, ConfigError."""
        secret = self.livekit_api_secret.get_secret_value() if self.livekit_api_secret else ""
        given = {
            "LIVEKIT_URL": self.livekit_url,
            "LIVEKIT_API_KEY": self.livekit_api_key,
            "LIVEKIT_API_SECRET": secret,
        }
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise CredentialsError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                hint="set them in the environment or in liba.toml (`liba config init`), name a project of "
                "`lk` with --project, or run `liba up`, which needs none",
            )
        credentials = LiveKitCredentials(
            self.livekit_url,
            self.livekit_api_key,
            SecretStr(secret),
            self.livekit_public_url,
            self.livekit_e2ee_key,
        )
        for name, url in (("LIVEKIT_URL", self.livekit_url), ("LIVEKIT_PUBLIC_URL", self.livekit_public_url)):
            if url and not url.startswith(("ws://", "wss://", "http://", "https://")):
                raise ConfigError(
                    f"{name} must begin with ws:// or wss://, it is {url!r}",
                    hint="copy it from your LiveKit project's settings",
                )
        return credentials

    def livekit_previous(self) -> LiveKitCredentials | None:
        """The key that is being replaced, if one is named. Raises ConfigError for half of one."""
        key, secret = self.livekit_previous_api_key, self.livekit_previous_api_secret
        if not key and not secret:
            return None
        if not key or not secret:
            raise ConfigError(
                "of livekit.previous_api_key and livekit.previous_api_secret only one is set",
                hint="set both while keys are changed, and none afterwards",
            )
        return LiveKitCredentials(self.livekit_url, key, secret)
