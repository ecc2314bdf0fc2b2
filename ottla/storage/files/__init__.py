"""Touches files: the only room that does. It knows formats of small files, and no log.

``interface`` is what others speak to, ``real`` the machine's file system behind it.
"""
