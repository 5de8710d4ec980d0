"""How it runs: settings, composition, the Celery app, embedded servers and the command line."""
