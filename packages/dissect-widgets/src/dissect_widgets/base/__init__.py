"""What all panels share: looks, safe texts, and the base of a panel."""
