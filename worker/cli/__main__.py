"""`python -m worker.cli`, which is what `billing` runs."""

from worker.cli import main

main()
