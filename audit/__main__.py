"""`python -m audit` is `recaudit`."""

from audit.cli import main

raise SystemExit(main())
