from libacli.errors import LibaError


def main() -> None:
    raise LibaError("not built yet")
