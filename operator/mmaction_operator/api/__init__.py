"""The TrainJob API: pydantic models, and from them the CRD and the reference of every field.

``spec`` is what a user asks for, ``status`` what the controller reports, ``trainjob`` the resource around both, and
``crd`` the translation to what an API server understands. A field is declared once, on its model.
"""

from .trainjob import API_VERSION, GROUP, KIND, PLURAL, VERSION, TrainJob, parse, read

__all__ = ["API_VERSION", "GROUP", "KIND", "PLURAL", "VERSION", "TrainJob", "parse", "read"]
