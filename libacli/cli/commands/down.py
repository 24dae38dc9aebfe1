"""liba down"""

from libacli.cli.options import AsJson


def down(as_json: AsJson = False) -> None:
    """End what `liba up` runs on this machine.

    \b
    liba down
    """
    from libacli.cli.runs.stack import end_stack

    end_stack(as_json=as_json)
