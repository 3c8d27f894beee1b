"""The detector panel: what is installed, and opening one."""
