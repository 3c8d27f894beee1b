"""What an ablation costs and changes: operations, relative change of outputs, and rows that a pass reads."""
