"""liba reap"""

from libacli.cli.options import AsJson, ConfigFile, settings_from
from libacli.cli.output import output


def reap(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """End what crashed agents have left running.

    An agent does this by itself when it starts; this is for when none will.
    """
    import asyncio

    from libacli.edges.avatars.choose import avatar_vendor, make_avatar_service
    from libacli.errors import CredentialsError
    from libacli.worker import reap as end_orphans

    settings = settings_from(config).settings
    if make_avatar_service(settings) is None:
        missing = f"{avatar_vendor(settings).key_variable} is not set"
        raise CredentialsError(missing, hint="it is needed to end conversations")
    count = asyncio.run(end_orphans(settings))
    if as_json:
        output.json({"ended": count})
    else:
        output.result(f"ended {count} conversation{'' if count == 1 else 's'}")
