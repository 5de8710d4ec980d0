"""The way to the broker for all who do not consume: publishing, asking, and what Celery is told."""
