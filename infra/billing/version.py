"""The version of the SDK, which is that of the distribution (a test holds the two equal)."""

__version__ = "0.1.0"
