"""`python -m examples.partner_service`: the walk-through."""

import sys

from .walkthrough import main

sys.exit(main())
