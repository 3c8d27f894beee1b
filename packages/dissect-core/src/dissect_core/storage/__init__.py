"""Files: read without waiting, written whole or not at all, in a folder or in an object store."""

from .files import (
    append_whole as append_whole,
    open_regular as open_regular,
    own_folder as own_folder,
    read_regular as read_regular,
    require_regular as require_regular,
    require_replaceable as require_replaceable,
    why_refused as why_refused,
    write_bytes_whole as write_bytes_whole,
    write_text_whole as write_text_whole,
    write_whole as write_whole,
)
from .locations import is_remote as is_remote, location_of as location_of
from .outputs import check_output as check_output, claim_folder as claim_folder
