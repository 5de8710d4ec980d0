"""The books for accountants: exports and reports."""
