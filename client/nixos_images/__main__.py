"""`python -m nixos_images`."""

import sys

from nixos_images.cli import main

sys.exit(main())
