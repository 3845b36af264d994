"""Real clients of the image API against our service, each in an environment of its own."""
