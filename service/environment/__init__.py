"""What the environment may say besides the settings themselves."""
