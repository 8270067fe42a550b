"""What screenshots are known by: the sizes of screens, and the names that systems give them."""

import re

#: Sides of common screens in pixels, the longer first; also half and double ones count.
SCREENS = frozenset(
    {
        (1334, 750), (1792, 828), (1920, 1080), (2160, 1080), (2208, 1242), (2340, 1080), (2400, 1080),
        (2436, 1125), (2532, 1170), (2556, 1179), (2688, 1242), (2778, 1284), (2796, 1290), (1280, 720),
        (1280, 800), (1366, 768), (1440, 900), (1600, 900), (1680, 1050), (2560, 1440), (2560, 1600),
        (2880, 1800), (3024, 1964), (3456, 2234), (3840, 2160), (2048, 1536), (2732, 2048), (3200, 1440),
        (3120, 1440), (3088, 1440), (2622, 1206), (2868, 1320), (2388, 1668), (2360, 1640), (1136, 640),
    }
)  # fmt: skip

_NAMES = re.compile(
    r"screen[ _-]?(shot|cap(ture)?|grab)|bildschirmfoto|captura[ _-]de[ _-]pantalla|captura[ _-]de[ _-](tela|ecr)"
    r"|capture[ _-]d.{0,3}[ _-]?[ée]cran|schermata|schermafbeelding|sk[äa]rm(bild|avbild)|sk[æj]+rm(bil|dump)"
    r"|zrzut[ _-]ekranu|n[áa]vrat[ _-]obrazovky|sn[íi]mek[ _-]obrazovky|ekran[ _-](g[öo]r[üu]nt[üu]s[üu]|resmi)"
    r"|снимок[ _-]экрана|скриншот|スクリーンショット|スクショ|屏幕截图|截屏|螢幕截圖|스크린샷",
    re.IGNORECASE,
)


def is_screen(width: int, height: int) -> bool:
    """Whether a picture has the size of a common screen."""
    return (max(width, height), min(width, height)) in SCREENS


def has_screenshot_name(file_name: str) -> bool:
    """Whether a file is named as systems name their screenshots, in the languages that are known here."""
    return _NAMES.search(file_name) is not None
