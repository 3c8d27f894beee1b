"""The study builder: a form made from the format of studies."""
