"""The TrainJob API: pydantic models, and from them the CRD and the reference of every field.

``spec`` is what a user asks for, ``status`` what the controller reports, ``trainjob`` the resource around both. A field
is declared once, on its model: ``schema`` and ``crd`` translate it to what an API server understands, ``explain`` and
``reference`` to what a user reads. ``manifest`` reads YAML as kubectl does.
"""

from .trainjob import API_VERSION, GROUP, KIND, PLURAL, VERSION, TrainJob, parse, read

__all__ = ["API_VERSION", "GROUP", "KIND", "PLURAL", "VERSION", "TrainJob", "parse", "read"]
