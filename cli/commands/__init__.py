"""One module for each group of commands: what they take, and what they print."""
