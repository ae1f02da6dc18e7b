"""Optional packages, warnings, links to the documentation."""
