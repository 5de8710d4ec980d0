"""Telemetry for other services: spans, and errors. Loaded only if it is set up."""
