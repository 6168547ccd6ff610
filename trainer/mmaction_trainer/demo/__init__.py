"""One video, scored by the model that a run left: what ``trainjob demo`` starts.

trained    what of a run's results is needed, and how it gets here, verified
scoring    the model and its test pipeline on one video; the only module that needs torch
command    the order of things, so that what is wrong is found before anything is spent
"""
