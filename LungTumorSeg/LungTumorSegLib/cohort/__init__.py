"""Segment many CTs: the work list, the runs on this machine or on a Dask cluster, the tables and the overview."""
