"""Pictures of the panels, as matplotlib figures and as HTML."""
