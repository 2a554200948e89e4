"""Makes ``python -m buildbot_http_status_push`` the command."""

import sys

from buildbot_http_status_push.commands.main import main

sys.exit(main())
