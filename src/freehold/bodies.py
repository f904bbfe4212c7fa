"""Bodies of HTTP answers, read whole or not at all."""

import http.client


def whole(answer: http.client.HTTPResponse, most: int) -> bytes:
    """Return the body of an answer, or its first `most` + 1 bytes if it has more.

    Raise ConnectionError when the connection ended before the body did: a piece of a list is no list. (`read` with a
    number of bytes returns what came until then, without a word.)
    """
    try:
        content = answer.read(most + 1)
    except http.client.HTTPException as error:
        raise ConnectionResetError(f"the answer ended in its middle: {error!r}") from None
    if len(content) <= most and answer.length:
        raise ConnectionResetError(f"the answer ended {answer.length} bytes too early")
    return content
