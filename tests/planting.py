"""Writes a file of src/ with a fault in it; a test's program is then linked with it in the place of the right one, and must
find it.  src/ itself holds no switch for that.

The scripts that plant have a table of faults: name: (file, what stands there, what is put in its place).

    plant.py NAME ROOT OUT    writes the file
    plant.py --file NAME      names it"""
import sys
from pathlib import Path

Faults = dict[str, tuple[str, str, str]]


def main(faults: Faults) -> None:
    if sys.argv[1] == "--file":
        print(faults[sys.argv[2]][0])
        return
    name, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    file, right, wrong = faults[name]
    text = (root / "src" / file).read_text()
    if text.count(right) != 1:
        sys.exit(f"plant.py: {name}: src/{file} holds the place of the fault {text.count(right)} times")
    out.write_text(text.replace(right, wrong))
