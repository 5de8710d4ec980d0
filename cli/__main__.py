"""`python -m cli`, which is what `billing` runs."""

from cli import main

if __name__ == "__main__":  # the command looks through its modules, and imports this one, too
    main()
