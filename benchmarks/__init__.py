"""The measurements: ours beside the plain way to do it, in one run on one machine."""
