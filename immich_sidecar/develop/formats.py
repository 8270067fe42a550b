"""Which format a file has, by its first bytes."""

import struct
from enum import StrEnum


class Format(StrEnum):
    """Formats that are told apart; the value is the word in facts."""

    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    WEBP = "webp"
    HEIC = "heic"
    AVIF = "avif"
    RAW = "raw"
    JXL = "jxl"
    JPEG2000 = "jpeg2000"
    GIF = "gif"
    BMP = "bmp"
    PSD = "psd"
    SVG = "svg"
    EXR = "exr"
    VIDEO = "video"
    OTHER = "other"


#: Formats that are developed, with their media types.
MEDIA_TYPES = {
    Format.JPEG: "image/jpeg",
    Format.PNG: "image/png",
    Format.TIFF: "image/tiff",
    Format.WEBP: "image/webp",
    Format.HEIC: "image/heic",
    Format.AVIF: "image/avif",
    Format.JXL: "image/jxl",
    Format.RAW: "image/x-raw",
}
#: Formats that can hold a photo but are not developed.
UNSUPPORTED = {
    Format.JPEG2000: "JPEG 2000",
    Format.GIF: "GIF",
    Format.BMP: "BMP",
    Format.PSD: "Photoshop",
    Format.SVG: "SVG",
    Format.EXR: "OpenEXR",
}
_PICTURE_NAMES = {
    *("jpg", "jpeg", "jpe", "jfif", "insp", "mpo", "png", "tif", "tiff", "webp", "heic", "heif", "hif", "avif"),
    *("jxl", "jp2", "gif", "bmp", "psd", "svg"),
}
RAW_NAMES = {
    *("3fr", "ari", "arw", "cap", "cin", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "k25", "kdc"),
    *("mef", "mos", "mrw", "nef", "nrw", "orf", "ori", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw"),
    *("x3f", "bay", "mdc", "dc2", "qtk", "rdc", "sti", "cs1", "pxn"),
}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif"}
_GENERIC_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHE"}
_RAW_SIGNATURES = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM", b"IIII", b"MMMM")


def looks_like_photo_name(name: str) -> bool:
    """Whether a file name's ending promises a photo, RAW files included."""
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    return ending in _PICTURE_NAMES or ending in RAW_NAMES


def has_raw_name(name: str) -> bool:
    """Whether a file name's ending promises a RAW file."""
    return "." in name and name.rsplit(".", 1)[-1].lower() in RAW_NAMES


def sniff(head: bytes) -> Format:
    """The format by the first bytes (64 or more). TIFF-based RAW files are still `TIFF` here."""
    if head.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith(_RAW_SIGNATURES) or head[6:14] == b"HEAPCCDR":
        return Format.RAW
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return Format.TIFF
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return Format.JXL
    if head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return Format.JPEG2000
    for signature, found in (
        (b"GIF8", Format.GIF),
        (b"8BPS", Format.PSD),
        (b"\x76\x2f\x31\x01", Format.EXR),
        (b"\x1a\x45\xdf\xa3", Format.VIDEO),
        (b"\0\0\x01\xba", Format.VIDEO),
        (b"\0\0\x01\xb3", Format.VIDEO),
    ):
        if head.startswith(signature):
            return found
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Format.VIDEO
    if head.startswith(b"BM") and len(head) > 18 and struct.unpack_from("<I", head, 14)[0] in (12, 40, 108, 124):
        return Format.BMP
    return Format.SVG if b"<svg" in head[:1024] else Format.OTHER


def _by_brand(head: bytes) -> Format:
    size = min(max(struct.unpack_from(">I", head)[0], 16), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, size - 3, 4))]
    if brands[0] == b"crx ":
        return Format.RAW
    if brands[0] in (b"avif", b"avis"):
        return Format.AVIF
    if brands[0] in _HEIC_BRANDS:
        return Format.HEIC
    if brands[0] in _GENERIC_BRANDS:
        return Format.AVIF if b"avif" in brands else Format.HEIC
    return Format.VIDEO
