"""The checks of `billing doctor`; one part of the installation per file."""
