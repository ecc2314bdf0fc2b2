"""Stores record batches and what the cluster knows of them, and gives them back. Synchronous; never imports trio.

The modules of this level are promises: a log, a store of logs, a catalog, and their values. The rooms are the kinds
that keep them (``segments``, ``catalogs``) and the file system (``files``). The broker knows the promises only; its
server picks the kinds.
"""
