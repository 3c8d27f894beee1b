"""All panels in one: from a detector to what its parts are worth."""
