"""From a URI to the storage that it names."""

from __future__ import annotations

from .folder import Folder
from .interface import Storage
from .keys import S3Location, locate


def open_storage(uri: str) -> Storage:
    """The storage at ``s3://bucket/prefix``, ``file:///folder``, or a folder's path (absolute or relative).

    Nothing is asked of it yet, so that a wrong secret or a missing bucket shows at the first operation.

    Raises:
        ConfigFailure: the URI names no storage.
    """
    place = locate(uri)
    if isinstance(place, S3Location):
        from .s3 import S3  # boto3 takes a third of a second to import, and a folder needs none of it.

        return S3.at(place)
    return Folder(place)
