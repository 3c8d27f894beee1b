"""Deep Dissect 1.0: the functions of the notebook library, unchanged for their users."""
