"""Something listens."""

import socket
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class TcpPort:
    """A TCP port accepts connections."""

    host: str
    port: int
    period: float = 60.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            socket.create_connection((self.host, self.port), self.timeout).close()
        except OSError as error:
            return Assessment(False, f"{self.host} port {self.port} does not accept connections: {error}")
        return Assessment(True, f"{self.host} port {self.port} accepts connections")
