"""liba ps"""

from libacli.cli.options import AsJson


def ps(as_json: AsJson = False) -> None:
    """List what `liba up` runs on this machine.

    \b
    liba ps
    liba ps --json
    """
    from libacli.cli.runs.stack import list_parts

    list_parts(as_json=as_json)
