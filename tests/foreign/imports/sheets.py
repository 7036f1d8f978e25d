"""Excel workbooks, OpenDocument spreadsheets and NDJSON, written without any library but Python's own."""

import datetime
import io
import json
import zipfile
from xml.sax.saxutils import escape, quoteattr

EPOCH = datetime.datetime(1899, 12, 30)
TYPES = "application/vnd.openxmlformats-officedocument"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def letters(at):
    """The letters of a column."""
    name = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        name = chr(65 + rest) + name
    return name


def is_clean(value):
    """Whether XML can have all characters of a text."""
    return all(sign >= " " or sign in "\t\n" for sign in value) and "_x" not in value


class Workbook:
    """Writes a table as a workbook: numbers as numbers, dates as numbers with a style, the rest as text."""

    def __init__(self, random):
        self.random = random
        self.strings = {}

    def write(self, names, columns, rows):
        """The bytes of the workbook."""
        gap = self.random.choice([0, 0, 3])
        lines = [self.row(1 + gap, [("text", name) for name in names])]
        for number, row in enumerate(rows):
            lines.append(self.row(2 + gap + number, [(column.kind, value) for column, value in zip(columns, row)]))
        sheet = f'<worksheet xmlns="{MAIN}"><cols><col min="1" max="1" width="9"/></cols><sheetData>{"".join(lines)}</sheetData></worksheet>'
        formats = '<numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/><numFmt numFmtId="165" formatCode="dd/mm/yyyy hh:mm:ss"/></numFmts>'
        styles = f'<styleSheet xmlns="{MAIN}">{formats}<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>'
        strings = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in self.strings)
        strings = f'<sst xmlns="{MAIN}" uniqueCount="{len(self.strings)}">{strings}</sst>'
        book = f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets><sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>'
        kinds = [("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")]
        related = "".join(
            f'<Relationship Id="rId{at}" Type="{RELATIONS}/{kind}" Target="{target}"/>' for at, (kind, target) in enumerate(kinds, 1)
        )
        return packed(
            {
                "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="{TYPES}"/></Types>',
                "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
                "xl/workbook.xml": book,
                "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
                "xl/worksheets/sheet1.xml": sheet,
                "xl/styles.xml": styles,
                "xl/sharedStrings.xml": strings,
            }
        )

    def row(self, number, cells):
        """A row; cells without a value are left out."""
        written = "".join(self.cell(f"{letters(at)}{number}", kind, value) for at, (kind, value) in enumerate(cells) if value)
        return f'<row r="{number}">{written}</row>'

    def cell(self, place, kind, value):
        """A cell."""
        if kind in ("integer", "decimal", "padded") and is_number(value):
            return f'<c r="{place}"><v>{value}</v></c>'
        if kind == "boolean" and value in ("true", "false"):
            return f'<c r="{place}" t="b"><v>{int(value == "true")}</v></c>'
        moment = parsed(kind, value)
        if moment and moment.year >= 1901:
            style = 1 if kind == "date" else 2
            serial = (moment - EPOCH) / datetime.timedelta(days=1)
            return f'<c r="{place}" s="{style}"><v>{serial!r}</v></c>'
        if self.random.random() < 0.3:
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        shared = self.strings.setdefault(value, len(self.strings))
        return f'<c r="{place}" t="s"><v>{shared}</v></c>'


def document(random, names, columns, rows):
    """A table as an OpenDocument spreadsheet; equal rows and cells are repeated."""
    lines = [f"<table:table-row>{''.join(stored('text', name) for name in names)}</table:table-row>"]
    for row in rows:
        cells = [stored(column.kind, value) for column, value in zip(columns, row)]
        merged = []
        for cell in cells:
            if merged and merged[-1][0] == cell and random.random() < 0.7:
                merged[-1][1] += 1
            else:
                merged.append([cell, 1])
        written = "".join(cell.replace("<table:table-cell", f'<table:table-cell table:number-columns-repeated="{count}"', 1) for cell, count in merged)
        lines.append(f"<table:table-row>{written}</table:table-row>")
    lines.append('<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>')
    spaces = "".join(f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text"))
    content = f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{spaces}><office:body><office:spreadsheet><table:table table:name="Data">{"".join(lines)}</table:table></office:spreadsheet></office:body></office:document-content>'
    return packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": content})


def stored(kind, value):
    """A cell of an OpenDocument spreadsheet."""
    if not value:
        return "<table:table-cell/>"
    if kind in ("integer", "decimal", "padded") and is_number(value):
        return f'<table:table-cell office:value-type="float" office:value="{value}"><text:p>shown</text:p></table:table-cell>'
    if kind == "boolean" and value in ("true", "false"):
        return f'<table:table-cell office:value-type="boolean" office:boolean-value="{value}"/>'
    if parsed(kind, value):
        return f'<table:table-cell office:value-type="date" office:date-value="{value}"/>'
    if any(sign in value for sign in "\t\n") or "  " in value or value != value.strip():
        return f'<table:table-cell office:value-type="string" office:string-value={quoteattr(value)}/>'
    return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'


def objects(columns, names, rows):
    """A table as NDJSON; a missing value is null or left out."""
    lines = []
    for number, row in enumerate(rows):
        line = {name: value for name, value in zip(names, row) if value or number % 2 == 0}
        lines.append(json.dumps({name: value or None for name, value in line.items()}, ensure_ascii=number % 3 == 0))
    return ("\n".join(lines) + "\n").encode()


def is_number(value):
    """Whether a cell is a number with a decimal point."""
    try:
        float(value)
    except ValueError:
        return False
    return not value.startswith("0") or value == "0" or value.startswith("0.")


def parsed(kind, value):
    """The moment that a date or date-time states."""
    forms = {"date": "%Y-%m-%d", "time": "%Y-%m-%dT%H:%M:%S"}
    try:
        return datetime.datetime.strptime(value, forms[kind])
    except (KeyError, ValueError):
        return None


def packed(files):
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()
