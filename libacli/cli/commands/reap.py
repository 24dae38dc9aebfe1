"""liba reap"""

from libacli.cli.options import AsJson, ConfigFile, settings_from


def reap(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """End what crashed agents have left running.

    An agent does this by itself when it starts; this is for when none will.
    """
    from libacli.cli.runs.reap import run_reap

    run_reap(settings_from(config).settings, as_json=as_json)
