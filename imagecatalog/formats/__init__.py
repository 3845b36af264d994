"""Formats of dates and times by language, for the pages of Django's admin."""
