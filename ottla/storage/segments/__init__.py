"""The first kind of ``Log``: segment files in Apache's formats."""
