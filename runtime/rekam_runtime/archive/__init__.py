"""The archive: streams of the log as segments in blob storage, and both read as one log.

`segment` is the format, `names` how segments are called and what a listing of them says,
`reading` reads them in order, and `log.ArchivedLog` is an event log that goes on where the
stream's own records begin. docs/archive.md has the format byte by byte.
"""

from rekam_runtime.archive.log import ArchivedLog

__all__ = ["ArchivedLog"]
