"""The books as those need them who keep them: exports and reports."""
