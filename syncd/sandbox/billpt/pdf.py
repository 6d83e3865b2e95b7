"""A valid one-page PDF that says which document it is and whether it is the original."""

import unicodedata

from syncd.sandbox.billpt.records import Document


def render(document: Document, *, original: bool) -> bytes:
    """The document as a file; the second and later downloads say that they are duplicates."""
    copy = "Original" if original else "Duplicado"
    text = (
        f"{document.number} {document.issued_at:%Y-%m-%d} EUR {document.sums.gross} {copy} - SANDBOX, sem valor fiscal"
    )
    content = f"BT /F1 12 Tf 40 780 Td ({_plain(text)}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return _assembled(objects)


def _assembled(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table_at)
    return bytes(out)


def _plain(text: str) -> str:
    """ASCII without the characters that end a PDF string."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(character for character in ascii_only if character not in "()\\")
