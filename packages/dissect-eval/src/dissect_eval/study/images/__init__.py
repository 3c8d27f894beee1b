"""Effects of a study's variants on single images: objects lost, queries, images side by side."""

from ._changes import ImageHits as ImageHits, image_hits as image_hits, lost_objects as lost_objects
from ._examples import Example as Example, examples as examples
from ._pixels import Pictures as Pictures, pictures_of as pictures_of, read_pixels as read_pixels
from ._queries import (
    QueryChanges as QueryChanges,
    query_boxes as query_boxes,
    query_changes as query_changes,
)
from ._query_maps import displacement_map as displacement_map, query_map as query_map
from ._query_pairs import QueryBoxes as QueryBoxes
from ._side_by_side import side_by_side as side_by_side
