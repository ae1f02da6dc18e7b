"""Any classifier as M: its logits, its labels and, where there is one, its gradient."""
