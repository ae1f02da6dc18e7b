"""What the defence and the threshold's promise are worth, under attacks and on corrupted rows."""
