"""The pictures, in scikit-learn's display style."""
