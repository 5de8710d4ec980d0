"""The HTTP doors: ours beside the leanest handler that writes the same row."""
