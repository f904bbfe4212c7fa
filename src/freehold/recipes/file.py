"""`freehold:file`: a file of the partition.

Options: `output` (path, relative to the partition or absolute inside it), `content`, `mode` (octal, 600).
"""

from freehold.recipes.part import Part


class File(Part):
    required = ("output", "content")

    def install(self) -> list[str]:
        path = self.inside(self.options["output"])
        text = self.options.get("mode", "600")
        try:
            mode = int(text, 8)
        except ValueError:
            raise self.mistake(f"mode '{text}' is not octal; write it like 600.") from None
        return [self.write(path, self.options["content"].strip() + "\n", mode)]
