"""Texts that do harm where something evaluates them, and what would show that one was evaluated.

Some would put ``CANARY``, a variable of the environment, in their place; others would make the file ``TRACE``.
"""

from __future__ import annotations

CANARY = "HOSTILE_CANARY"
TRACE = "/tmp/hostile-trace"

SHELL = (
    f"$(touch${{IFS}}{TRACE})",
    f"`touch {TRACE}`",
    f"; touch {TRACE} #",
    f"a'; touch {TRACE}; '",
    f'"; touch {TRACE}; "',
    f"|touch {TRACE}",
    "$(HOME)",
    "$$(HOME)",
    f"$({CANARY})",
    f"${CANARY}",
    f"${{{CANARY}}}",
    "--attempt=7",
    "-rf",
    "~root",
    "*",
)
PYTHON = (
    f"__import__('os').system('touch {TRACE}')",
    f"'+__import__('os').system('touch {TRACE}')+'",
    f'"""+open({TRACE!r},"w").name+"""',
    f"f'{{open({TRACE!r},\"w\")}}'",
    "os.system",
    "builtins.eval",
    "mmengine.Config.fromfile",
    f"'\nimport os; os.system('touch {TRACE}')\n'",
    f"\\'+open({TRACE!r},'w')#",
    f"x)\nopen({TRACE!r}, 'w')\n(",
    "%(name)s%n%s",
    "{0.__class__}",
    "None",
    "\\",
    "\\N{BULLET}",
    "#",
)
TEMPLATES = (
    "{{ fileDirname }}",
    "{{fileBasename}}",
    "{{ _base_.model }}",
    f"{{{{${CANARY}:none}}}}",
    f"{{{{'${CANARY}:none'}}}}",
    f"{{{{ ${CANARY}:none }}}}",
    "{%raw%}",
    "${oc.env:HOME}",
    f"{{ {{ ${CANARY}:none }} }}",
    "{" * 3,
)
YAML = (
    "!!python/object/apply:os.system",
    "&a [*a]",
    "*a",
    "- a: b",
    "key: value",
    "<<: *a",
    "yes",
    "~",
    ".nan",
    "0o17",
)
PATHS = (
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..",
    ".",
    "//",
    "a/./b",
    "..\\..\\a",
    "%2e%2e/a",
    "s3://bucket/../../other",
    "s3://",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "a//b/",
)
UNICODE = (
    "e\u0301",  # combining
    "\u202ecod.exe",  # right to left
    "a\u200bb",  # zero width
    "\ufeffa",
    "\u2028a\u2029b",  # line ends to some
    "\u0085a",
    "\u00a0",
    "\u3000",
    "\U0001f3ac",
    "\U0010ffff",
    "\ud7ff\ue000",
    "\ufffe",
    "ª",
    "\u0130",
    "a\x00b",
    "\x1b[2J",
    "a\rb",
    "a\nb",
    "a\tb",
    "\x7f",
)
NUMBERS = ("1", "1.0", "1e3", "NaN", "-Infinity", "0x10", "1_000", "١٢", "null", "true")

TEXTS = (*SHELL, *PYTHON, *TEMPLATES, *YAML, *PATHS, *UNICODE, *NUMBERS)
MEGABYTE = "a" * 2**20
