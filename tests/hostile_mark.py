"""Nothing imports this module, unless a hostile file can have one imported."""

from pathlib import Path

Path("ran").touch()


class Part:
    """Nothing builds one, unless a hostile file can have anything built."""

    def __init__(self, *_: object, **__: object) -> None:
        Path("ran").touch()
