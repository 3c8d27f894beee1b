"""Files: read without waiting, written whole or not at all, in a folder or in an object store."""
