"""The pages of the console. Each reads its data at once, by indexes."""
