"""Environment variables by which the server tells a page's kernel what to open: server and kernels share no more."""

STUDY = "DEEP_DISSECT_STUDY"
"""Environment variable that tells the notebook which study to open."""
FOLDER = "DEEP_DISSECT_FOLDER"
"""Environment variable: the folder that relative paths start from."""
AT_WORK = "DEEP_DISSECT_AT_WORK"
"""Environment variable: a file that exists while the kernel runs a study."""
