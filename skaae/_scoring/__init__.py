"""The score S(x), the threshold, and the decisions that follow from both."""
