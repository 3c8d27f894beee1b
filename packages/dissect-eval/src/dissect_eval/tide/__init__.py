"""What average precision is lost to: the error types of TIDE."""
