"""How a verb of the command line speaks with the daemon: one question a connection, over a Unix socket."""

from gateway.control.client import ask, is_running
from gateway.control.server import Answer, ControlServer
from gateway.control.wire import MAX_BYTES, RefusalError, Reply, Request

__all__ = ["MAX_BYTES", "Answer", "ControlServer", "RefusalError", "Reply", "Request", "ask", "is_running"]
