"""Displays in the style of scikit-learn: scores, corrections and accuracies as pictures."""
