"""When it happens: Celery tasks of a few lines each."""
