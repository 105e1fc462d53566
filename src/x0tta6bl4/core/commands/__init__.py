"""What `x0t` does, a module for each group of commands."""
