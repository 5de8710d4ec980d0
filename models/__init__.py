"""What is true: tables, states, money and ids. Imports nothing of ours."""
