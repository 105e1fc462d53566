"""Readers of Iteration: metrics, logs, traces, notifications."""
