"""Settings that are almost right: what a shell, an env file, a secret or an editor makes of a good one."""

AROUND = {
    "a line feed at the end": ("{}\n", "ends in a line end: remove it"),
    "a carriage return at the end": ("{}\r", "ends in a line end: remove it"),
    "both at the end": ("{}\r\n", "ends in a line end: remove it"),
    "a blank at the end": ("{} ", "ends in a blank: remove it"),
    "a tab at the end": ("{}\t", "ends in a blank: remove it"),
    "a no-break space at the end": ("{}\u00a0", "ends in a blank: remove it"),
    "a blank at the beginning": (" {}", "begins with a blank: remove it"),
    "a line feed at the beginning": ("\n{}", "begins with a blank: remove it"),
    "a byte order mark": ("\ufeff{}", "holds the invisible character U\\+FEFF: remove it"),
    "a zero-width blank": ("{}\u200b", "holds the invisible character U\\+200B: remove it"),
    "a zero-width joiner": ("{}\u200d", "holds the invisible character U\\+200D: remove it"),
    "a mark for writing from right to left": ("{}\u200f", "holds the invisible character U\\+200F: remove it"),
    "a soft hyphen": ("{}\u00ad", "holds the invisible character U\\+00AD: remove it"),
    "a variation selector": ("{}\ufe0f", "holds the invisible character U\\+FE0F: remove it"),
    "a blank of Braille": ("{}\u2800", "holds the invisible character U\\+2800: remove it"),
    "a byte that is not UTF-8": ("{}\udcff", "holds the invisible character U\\+DCFF: remove it"),
    "a bell": ("{}\a", "holds the control character U\\+0007: remove it"),
    "a zero": ("{}\0", "holds the control character U\\+0000: remove it"),
    "double quotes": ('"{}"', "(?:begins with|ends in) a quotation mark: remove it"),
    "single quotes": ("'{}'", "(?:begins with|ends in) a quotation mark: remove it"),
    "typographic quotes": ("\u201c{}\u201d", "(?:begins with|ends in) a quotation mark: remove it"),
    "a quote at the end": ("{}'", "ends in a quotation mark: remove it"),
    "a comma": ("{},", "ends in ',': remove it"),
    "a semicolon": ("{};", "ends in ';': remove it"),
    "a continued line": ("{}\\", "ends in '.': remove it"),
}
"""What is around a good setting → the setting, "{}" in it, and what the message says."""

ENCODED = {
    "an encoded zero": ("{}%00", "holds the control character U\\+0000"),
    "an encoded line feed": ("{}%0A", "ends in a line end|holds the control character U\\+000A"),
    "an encoded blank at the end": ("{}%20", "ends in a blank"),
    "an encoded zero-width blank": ("{}%E2%80%8B", "holds the invisible character U\\+200B"),
    "encoded bytes that are not UTF-8": ("{}%FF", "percent-encoded bytes that are not UTF-8"),
    "a fragment": ("{}#x", "holds '#'|brackets and blanks are percent-encoded"),
    "an encoded quote at the end": ("{}%22", "ends in a quotation mark"),
}
"""The same, of a URL."""
