"""Commands that set up, run and watch an installation."""
