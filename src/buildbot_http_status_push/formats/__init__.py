"""What chat services take as a message of a build, each for ``format_fn=``. All of it is pure.

Public: ``from buildbot_http_status_push import formats``. Must not know Buildbot, nor where a
message goes.
"""

from buildbot_http_status_push.formats.discord_embed import Discord
from buildbot_http_status_push.formats.mattermost_post import Mattermost
from buildbot_http_status_push.formats.slack_blocks import Slack
from buildbot_http_status_push.formats.teams_card import Teams

__all__ = ["discord", "mattermost", "slack", "teams"]

# They are read as functions in master.cfg.
discord, mattermost, slack, teams = Discord, Mattermost, Slack, Teams
