"""What a study's variants do on single images: objects lost, queries, pictures side by side."""

from ._changes import ImageHits, image_hits, lost_objects
from ._examples import Example, examples
from ._pixels import Pictures, pictures_of, read_pixels
from ._queries import QueryBoxes, QueryChanges, query_boxes, query_changes
from ._query_maps import displacement_map, query_map
from ._side_by_side import side_by_side

__all__ = [
    "Example",
    "ImageHits",
    "Pictures",
    "QueryBoxes",
    "QueryChanges",
    "displacement_map",
    "examples",
    "image_hits",
    "lost_objects",
    "pictures_of",
    "query_boxes",
    "query_changes",
    "query_map",
    "read_pixels",
    "side_by_side",
]
