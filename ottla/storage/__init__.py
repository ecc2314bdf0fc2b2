"""Record batches to files and back. Synchronous; never imports trio."""
