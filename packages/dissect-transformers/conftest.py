"""Examples in docstrings run where Transformers is installed, which needs Python 3.11."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("transformers") else ["src/*"]
