"""Horizon's panel of images in a browser, in front of our service and a real Keystone."""
