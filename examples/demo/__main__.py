"""`python -m examples.demo`: the walk-through."""

import sys

from .walkthrough import main

sys.exit(main())
