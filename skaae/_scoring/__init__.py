"""From x to S(x), the threshold, and what follows from both."""
