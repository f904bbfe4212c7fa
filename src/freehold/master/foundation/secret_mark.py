"""What stands where a secret stood, in texts for people."""

MARK = "[secret]"
