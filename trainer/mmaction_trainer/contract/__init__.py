"""What operator and trainer tell each other: run.json, progress.json, result.json, exit codes, and a pod's environment.

Both sides import this package, so it imports neither torch nor Kubernetes. A field is added with a default, never
renamed: operator and trainer images of two versions meet here.
"""
