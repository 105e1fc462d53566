"""Readers of Iteration: metrics, logs."""
