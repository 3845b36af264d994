"""Metadata definitions: namespaces, and what they say about the properties of resources."""
