"""TIDE's error types: what is wrong with detections, and the AP that fixing it would gain."""

from ._assign import (
    BKG as BKG,
    BOTH as BOTH,
    CLS as CLS,
    DUPE as DUPE,
    LOC as LOC,
    assign as assign,
)
from ._fix import ERROR_TYPES as ERROR_TYPES, SPECIAL_TYPES as SPECIAL_TYPES
from ._result import ClassErrors as ClassErrors, ErrorTypes as ErrorTypes
from ._tide import error_types as error_types
