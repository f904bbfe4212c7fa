"""An HTTP proxy between us and a Master."""

import contextlib
import socket
import threading


class Proxy:
    """An HTTP proxy that knows CONNECT alone, and writes down what it is asked and what passes."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.passed = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._tunnel, args=(self._listener.accept()[0],), daemon=True).start()

    def _tunnel(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1)
        self.asked.append(head)
        host, _, port = head.split()[1].decode().partition(":")
        far = socket.create_connection((host, int(port)))
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                self.passed += piece
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # Also wakes who waits for a caller.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
