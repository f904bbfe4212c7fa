"""`freehold:file`: a file of the partition.

Options: `output` (path, relative to the partition or absolute inside it), `content`, `mode` (octal, 600).
"""

from freehold.recipes.part import Part


class File(Part):
    required = ("output", "content")

    def install(self) -> list[str]:
        path = self.partition / self.options["output"]
        return [self.write(path, self.options["content"].strip() + "\n", int(self.options.get("mode", "600"), 8))]
