"""Whether the books are right and the work gets done: verify, witness, stock-taking, health."""
