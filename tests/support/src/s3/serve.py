"""Serves S3 on a free port until standard input ends."""

import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("listening on %s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
