"""The mesh: its catalogue and its adapters."""
