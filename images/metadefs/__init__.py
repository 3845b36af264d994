"""Metadata definitions: namespaces that define properties, objects and tags for resources."""
