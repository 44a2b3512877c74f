"""Files from the network into the cache, whole or not at all.

Only `entries` and `names` are imported where files are looked up; they import no network library.
"""
