"""Numbers and pictures of a study in a folder: many variants of a detector on one data split.

Takes any `StoredStudy`, such as `dissect_core.store.Study`. Needs the extra ``study``, which brings pyarrow, and for
pictures the extra ``plot``.
"""

from ._captions import counted
from ._changes import ImageHits, image_hits, lost_objects
from ._compare import Comparison, compare
from ._doses import dose_rows
from ._examples import Example, examples
from ._figures import dose_curves, figures, widened, worst_variants
from ._figures_classes import class_bars, error_bars
from ._figures_maps import class_map, head_maps
from ._figures_queries import displacement_map, query_map
from ._found import TRUTH, ImageBoxes, StudyDetections, kept_truth, truth_file
from ._frames import frame
from ._groups import variant_groups
from ._maps import class_values
from ._measure import StudyResults, measure, missing_weights
from ._named import NamedFigure, title_of, with_no_ops
from ._pictures import side_by_side
from ._queries import QueryBoxes, QueryChanges, query_boxes, query_changes
from ._settings import DEFAULT_METRIC, REPLICATES, Settings
from ._shown import Pictures, pictures_of, read_pixels
from ._spread import Spread, here, in_processes
from ._stored import StoredDetections, StoredStudy
from ._tables import StudyTables, class_table, error_rows, summary_rows

__all__ = [
    "DEFAULT_METRIC",
    "REPLICATES",
    "TRUTH",
    "Comparison",
    "Example",
    "ImageBoxes",
    "ImageHits",
    "NamedFigure",
    "Pictures",
    "QueryBoxes",
    "QueryChanges",
    "Settings",
    "Spread",
    "StoredDetections",
    "StoredStudy",
    "StudyDetections",
    "StudyResults",
    "StudyTables",
    "class_bars",
    "class_map",
    "class_table",
    "class_values",
    "compare",
    "counted",
    "displacement_map",
    "dose_curves",
    "dose_rows",
    "error_bars",
    "error_rows",
    "examples",
    "figures",
    "frame",
    "head_maps",
    "here",
    "image_hits",
    "in_processes",
    "kept_truth",
    "lost_objects",
    "measure",
    "missing_weights",
    "pictures_of",
    "query_boxes",
    "query_changes",
    "query_map",
    "read_pixels",
    "side_by_side",
    "summary_rows",
    "title_of",
    "truth_file",
    "variant_groups",
    "widened",
    "with_no_ops",
    "worst_variants",
]
