"""The HTTP interface of published trees: folders with images as files, and indexes of the images.

Programs that do not know the Image API read them.
"""
