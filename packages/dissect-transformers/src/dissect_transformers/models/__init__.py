"""A model's files: found in a folder or on the Hub, checked, and read strictly: config, weights, image processor."""

from ._class_names import class_names_of as class_names_of
from ._config import checked_config as checked_config
from ._files import model_folder as model_folder
from ._processor import load_processor as load_processor, require_processor as require_processor
from ._weights import load_model as load_model
