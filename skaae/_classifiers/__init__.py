"""Any classifier as M: its logits, its labels and, if it has one, its gradient."""
