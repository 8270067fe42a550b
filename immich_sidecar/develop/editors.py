"""Which program a finished picture came out of, where that was one for editing photos.

A picture that a person has developed already is not to be developed again without being asked. What a camera's own
firmware or a phone writes into a file says nothing; what Lightroom, darktable and their like write says all.
"""

import re

#: What such programs call themselves in EXIF `Software`, XMP `CreatorTool` and the like.
_EDITORS = re.compile(
    r"lightroom|photoshop|camera raw|darktable|rawtherapee|\bART \d|capture one|dxo|photolab|pureraw|nik collection"
    r"|luminar|skylum|\bon1\b|affinity|\bgimp\b|snapseed|\bvsco|polarr|acdsee|pixelmator|photomator|darkroom"
    r"|picasa|digikam|showfoto|filmulator|ansel|vkdt|rapidraw|silkypix|digital photo professional|capture nx"
    r"|nx studio|viewnx|imaging edge|exposure x\d|zoner|paintshop|paint\.net|photodirector|topaz|aftershot"
    r"|afterlight|photoscape|fotor|pixlr|krita|raw power|nitro|iphoto|aperture \d|photos \d|x raw studio|om workspace",
    re.IGNORECASE,
)
_NAMED = tuple(
    re.compile(name + rb"""(?:>|\s*=\s*["'])([^<"']{1,120})""")
    for name in (rb"xmp:CreatorTool", rb"stEvt:softwareAgent")
)
#: Marks that stand for a program by themselves: what was developed by Adobe's settings, or by darktable's history.
_MARKS = (
    (re.compile(rb"""crs:AlreadyApplied(?:>|\s*=\s*["'])True"""), "Adobe Camera Raw"),
    (re.compile(rb"""darktable:history"""), "darktable"),
)
_LONGEST = 60


def edited_by(software: str | None, xmp: bytes) -> str | None:
    """The name of the editor that wrote a picture, as the picture tells it; None where none did.

    Parameters
    ----------
    software
        EXIF `Software`.
    xmp
        The XMP packet as stored, or nothing.
    """
    names = [software or ""]
    names += [match.group(1).decode("utf-8", "replace") for named in _NAMED for match in named.finditer(xmp)]
    for name in names:
        if _EDITORS.search(name):
            return " ".join(name.split())[:_LONGEST]
    return next((name for mark, name in _MARKS if mark.search(xmp)), None)
