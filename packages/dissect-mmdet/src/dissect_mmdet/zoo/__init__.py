"""MMDetection's zoo by name: its index as the installed mmdet brings it, and weights, downloaded once and checked.

Nothing here imports mmdet or torch: whoever looks for a name waits for neither.
"""

from ._download import ZOO as ZOO
from ._files import given_files as given_files, model_files as model_files
from ._index import ZooEntry as ZooEntry, find_entry as find_entry, models as models, read_index as read_index
