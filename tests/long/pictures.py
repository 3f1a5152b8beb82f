"""Draws terminal screens as pictures: pictures.py OUTPUT-DIRECTORY SCREEN.ansi...

A screen is lines of text with SGR sequences; blanks may be cursor moves to the right. Each becomes a PNG of the same
name, in the colours of a dark terminal (THEME=light for those of a light one). FONT_SIZE sets the height of letters.
"""

import os
import pathlib
import re
import sys
import unicodedata

from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono{}.ttf"
SIZE = int(os.environ.get("FONT_SIZE", "16"))
DARK = {"back": "#1d1f21", "front": "#d8d8d8", "frame": "#3a3d40"}
LIGHT = {"back": "#ffffff", "front": "#202020", "frame": "#c8c8c8"}
THEME = LIGHT if os.environ.get("THEME") == "light" else DARK
# The sixteen colours, as widespread terminals have them.
SIXTEEN = (
    ["#000000", "#c01c28", "#1a7f37", "#8a6200", "#1a5fb4", "#813d9c", "#0f7b86", "#5e5c64"]
    + ["#5e5c64", "#e01b24", "#2ec27e", "#c88800", "#3584e4", "#9141ac", "#2190a4", "#3d3846"]
    if THEME is LIGHT
    else ["#3a3d40", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4"]
    + ["#7f848e", "#ff7b86", "#b5e08f", "#ffd68a", "#7cc3ff", "#de91f5", "#6fd3df", "#ffffff"]
)
SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)([A-Za-z])")


def colour(number):
    """A colour of the palette of 256."""
    if number < 16:
        return SIXTEEN[number]
    if number < 232:
        steps = [0, 95, 135, 175, 215, 255]
        number -= 16
        return "#%02x%02x%02x" % (steps[number // 36], steps[number // 6 % 6], steps[number % 6])
    return "#" + "%02x" % (8 + 10 * (number - 232)) * 3


class Style:
    def __init__(self):
        self.front = self.back = None
        self.bold = self.dim = self.italic = self.underline = self.inverse = False

    def apply(self, parameters):
        numbers = [int(number or 0) for number in re.split("[;:]", parameters)]
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.__init__()
            elif number in (38, 48):
                kind = numbers.pop(0)
                chosen = colour(numbers.pop(0)) if kind == 5 else "#%02x%02x%02x" % tuple(numbers.pop(0) for _ in "rgb")
                setattr(self, "front" if number == 38 else "back", chosen)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.front = SIXTEEN[number - 30 if number < 90 else number - 82]
            elif 40 <= number <= 47 or 100 <= number <= 107:
                self.back = SIXTEEN[number - 40 if number < 100 else number - 92]
            elif number == 39:
                self.front = None
            elif number == 49:
                self.back = None
            else:
                if number in (1, 2):
                    # One or the other, as terminals have it.
                    self.bold, self.dim = number == 1, number == 2
                switches = {3: ("italic", True), 4: ("underline", True), 7: ("inverse", True)}
                switches |= {23: ("italic", False), 24: ("underline", False), 27: ("inverse", False)}
                if number == 22:
                    self.bold = self.dim = False
                elif number in switches:
                    setattr(self, *switches[number])

    def colours(self):
        front, back = self.front or THEME["front"], self.back or THEME["back"]
        if self.inverse:
            front, back = back, front
        return (mixed(front, back) if self.dim else front), back


def mixed(one, other):
    pairs = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#%02x%02x%02x" % tuple((3 * a + 2 * b) // 5 for a, b in pairs)


def cells(line):
    """(column, width, letter, style) of what is on a line."""
    style, column, at = Style(), 0, 0
    while at < len(line):
        match = SEQUENCE.match(line, at)
        if match:
            at = match.end()
            if match[2] == "m":
                style.apply(match[1])
            elif match[2] in "CX":
                count = int(match[1] or 1)
                if match[2] == "X" or style.inverse:
                    yield from ((column + n, 1, " ", style) for n in range(count))
                column += count if match[2] == "C" else 0
            continue
        letter = line[at]
        at += 1
        if unicodedata.combining(letter):
            continue
        width = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        yield column, width, letter, style
        column += width


def draw(text, output):
    lines = text.rstrip("\n").split("\n")
    regular = ImageFont.truetype(FONTS.format(""), SIZE)
    bold = ImageFont.truetype(FONTS.format("-Bold"), SIZE)
    wide, (ascent, descent) = round(regular.getlength("M")), regular.getmetrics()
    high, edge = ascent + descent, SIZE // 2
    columns = max((column + width for line in lines for column, width, *_ in cells(line)), default=1)
    size = (columns * wide + 2 * edge, len(lines) * high + 2 * edge)
    picture = Image.new("RGB", size, THEME["back"])
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=THEME["frame"])
    for row, line in enumerate(lines):
        for column, width, letter, style in cells(line):
            front, back = style.colours()
            x, y = edge + column * wide, edge + row * high
            if back != THEME["back"]:
                pen.rectangle((x, y, x + width * wide - 1, y + high - 1), fill=back)
            if style.underline:
                pen.line((x, y + ascent + 2, x + width * wide - 1, y + ascent + 2), fill=front)
            if letter != " ":
                pen.text((x, y), letter, font=bold if style.bold else regular, fill=front)
    picture.quantize(64).save(output, optimize=True)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        path = pathlib.Path(name)
        output = directory / (path.stem + ".png")
        draw(path.read_text(), output)
        print(output)


main()
