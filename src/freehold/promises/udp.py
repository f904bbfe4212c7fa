"""Something answers over UDP."""

import socket
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class UdpPort:
    """A UDP port answers what it is sent; with nothing to send, it only must not be refused."""

    host: str
    port: int
    send: str = ""
    contains: str = ""
    """What its answer must hold."""
    period: float = 60.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        where = f"{self.host} port {self.port}"
        try:
            family, kind, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as sock:
                sock.connect(address)
                answer = self._ask(sock)
        except TimeoutError:
            return Assessment(not self.send, f"{where} does not answer" if self.send else f"{where} refuses nothing")
        except OSError as error:
            return Assessment(False, f"{where} cannot be asked: {error}")
        return Assessment(self.contains in answer, f"{where} answers {answer[:100]!r}")

    def _ask(self, sock: socket.socket) -> str:
        """Ask up to three times, for packets are lost; return the answer, or raise TimeoutError."""
        tries = 3 if self.send else 1
        for left in reversed(range(tries)):
            sock.settimeout(self.timeout / tries if self.send else 0.3)
            sock.send(self.send.encode())
            try:
                return sock.recv(65536).decode(errors="replace")
            except TimeoutError:
                if not left:
                    raise
        raise TimeoutError
