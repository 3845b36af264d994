"""Kills the service over and over while clients use it, and looks at what is left."""
