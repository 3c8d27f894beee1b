"""Files: read without waiting, written whole or not at all, in a folder or in an object store."""

from .files import (
    append_whole,
    open_regular,
    own_folder,
    read_regular,
    require_regular,
    require_replaceable,
    why_refused,
    write_bytes_whole,
    write_text_whole,
    write_whole,
)
from .locations import is_remote, location_of
from .outputs import check_output, claim_folder

__all__ = [
    "append_whole",
    "check_output",
    "claim_folder",
    "is_remote",
    "location_of",
    "open_regular",
    "own_folder",
    "read_regular",
    "require_regular",
    "require_replaceable",
    "why_refused",
    "write_bytes_whole",
    "write_text_whole",
    "write_whole",
]
