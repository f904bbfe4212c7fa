"""A connection to a partner that is checked, over TLS where it speaks that, whoever signed its certificate."""

import socket
import ssl


def connect_tls(host: str, port: int, timeout: float, authority: str = "") -> ssl.SSLSocket:
    """Return a connection over TLS; raise OSError, or ValueError for a host that cannot be named.

    `authority`: a file of certificates by which that of the server must be signed, for this host, or `system` for
    those that the machine trusts. Without one it is not checked: a partition's server often has its own.
    """
    context = ssl.create_default_context(cafile=authority if authority not in ("", "system") else None)
    if not authority:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((host, port), timeout)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
