"""Learned parts of the loop, and the loop as a library over sensors and actions of your own."""
