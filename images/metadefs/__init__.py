"""Metadata definitions: namespaces that describe properties, objects and tags of resources."""
