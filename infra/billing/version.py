"""The version of all of it: the SDK, the service, the image and the TypeScript client."""

__version__ = "0.1.0"
