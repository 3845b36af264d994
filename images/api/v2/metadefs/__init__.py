"""The Metadata Definitions API, a part of API v2."""
