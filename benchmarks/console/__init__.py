"""How long the pages of the console take when there are many millions of charges."""
