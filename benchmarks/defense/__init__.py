"""What the defense and the threshold's promise are worth, under attacks and on corrupted rows."""
