"""`python -m foveate.cli`: the same as the command `foveate`."""

from . import main

raise SystemExit(main())
