"""liba down"""


def down() -> None:
    """End what `liba up` runs on this machine.

    \b
    liba down
    """
    from libacli.cli.runs.stack import end_stack

    end_stack()
