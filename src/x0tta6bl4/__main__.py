"""`python -m x0tta6bl4` is the command `x0t`."""

from x0tta6bl4.cli import main

if __name__ == "__main__":
    main()
