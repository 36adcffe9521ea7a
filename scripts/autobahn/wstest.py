# Autobahn's wstest, from a folder of packages and on the loopback interface alone: its server would listen on every
# one. Python 2.7.
#
#   python2.7 scripts/autobahn/wstest.py FOLDER ARGUMENTS...
import site
import sys

# Not PYTHONPATH, which leaves out packages that are spread over several distributions.
site.addsitedir(sys.argv.pop(1))
sys.path.insert(0, sys.path.pop())

from autobahntestsuite import wstest
from twisted.internet import reactor

listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, backlog=50, interface="": listen(port, factory, backlog, "127.0.0.1")
wstest.run()
