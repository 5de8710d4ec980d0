"""What is told to others of what happens here: spans, and errors. Loaded only where it is set."""
