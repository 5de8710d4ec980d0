"""Access to the broker except for consuming: publishing, asking, and Celery's configuration."""
