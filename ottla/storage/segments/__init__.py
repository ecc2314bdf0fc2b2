"""Keeps logs in segment files of Apache's formats: the first kind of ``Log``, and of ``LogStore``.

``segment_log`` appends and reads. Retention, flushing, lookups, compaction and recovery work on ``segment_list`` below
it, and never know the broker.
"""
