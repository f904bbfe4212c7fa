"""An archive of our own: packages as odd as they come, in a repository that apt is told of."""

import hashlib
import shutil
import subprocess
from pathlib import Path


class Archive:
    """A repository in a folder; `configuration` is what `APT_CONFIG` names to have no other source than it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "packages"
        self.packages.mkdir(parents=True)
        (root / "lists" / "partial").mkdir(parents=True)
        (root / "sources.list").write_text(f"deb [trusted=yes] file:{self.packages} ./\n")
        self.configuration = root / "apt.conf"
        self.configuration.write_text(
            f'Dir::Etc::sourcelist "{root}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
            f'Dir::State::Lists "{root}/lists";\nDir::Cache "{root}";\nAPT::Sandbox::User "root";\n'
        )
        for folder in (root, self.packages):
            folder.chmod(0o755)

    def add(
        self,
        name: str,
        files: dict[str, bytes | str],
        *,
        control: str = "",
        version: str = "1.0",
        scripts: dict[str, str] | None = None,
    ) -> Path:
        """Make a package; a text that begins with an arrow is a link. What is in a folder `bin` can be run."""
        content = self.root / "content"
        shutil.rmtree(content, ignore_errors=True)
        (content / "DEBIAN").mkdir(parents=True)
        described = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <a@b.example>\n"
        (content / "DEBIAN" / "control").write_bytes(f"{described}{control}Description: ".encode() + b"caf\xe9\n")
        for script, text in (scripts or {}).items():
            (content / "DEBIAN" / script).write_text(text)
            (content / "DEBIAN" / script).chmod(0o755)
        for path, text in files.items():
            where = content / path
            where.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(text, str) and text.startswith("-> "):
                where.symlink_to(text[3:])
                continue
            where.write_bytes(text.encode() if isinstance(text, str) else text)
            where.chmod(0o755 if "bin/" in path else 0o644)
        made = self.packages / f"{name}_{version}_all.deb"
        command = ["dpkg-deb", "-Zgzip", "--build", "--root-owner-group", content, made]
        subprocess.run(command, check=True, capture_output=True)
        return made

    def update(self) -> None:
        """Have apt read what there is now."""
        stanzas = []
        for deb in sorted(self.packages.glob("*.deb")):
            said = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True).stdout
            where = f"Filename: ./{deb.name}\nSize: {deb.stat().st_size}\n"
            where += f"SHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n"
            stanzas.append(said.rstrip() + b"\n" + where.encode())
        (self.packages / "Packages").write_bytes(b"\n".join(stanzas))
        subprocess.run(
            ["apt-get", "-qq", "update"], check=True, capture_output=True, env={"APT_CONFIG": str(self.configuration)}
        )
        for path in [*self.root.glob("lists/*"), *self.root.glob("*.bin")]:
            path.chmod(path.stat().st_mode | 0o044)
