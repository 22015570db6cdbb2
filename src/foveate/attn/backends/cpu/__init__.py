"""The cpu backend: C++ kernels, one set per instruction set, chosen at run time.

Importing this is cheap: the extension is loaded when the backend is first asked something.
"""

from .backend import CpuBackend

backend = CpuBackend()
