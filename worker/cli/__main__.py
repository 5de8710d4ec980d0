"""`python -m worker.cli`, which is what `billing` runs."""

from worker.cli import main

if __name__ == "__main__":  # the command looks through its modules, and imports this one, too
    main()
