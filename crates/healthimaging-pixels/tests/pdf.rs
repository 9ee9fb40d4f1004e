//! PDF documents: text, pages, and what is refused. The documents are written by ISO 32000-1 §7.5.
#![cfg(feature = "pdf")]

use healthimaging_pixels::{PdfError, PdfPart, read_pdf};

/// A document of a page with this content and these resources, without a table of its objects, which readers then search for.
fn pdf(content: &str, resources: &str, more: &str, trailer: &str) -> Vec<u8> {
    let length = content.len();
    format!(
        "%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n\
         2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n\
         3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R \
         /Resources << {resources} >> >> endobj\n\
         4 0 obj << /Length {length} >> stream\n{content}\nendstream endobj\n{more}\n\
         trailer << /Root 1 0 R /Size 9 {trailer} >>\n%%EOF\n"
    )
    .into_bytes()
}

const FONT: &str = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >> >>";

#[test]
fn text_has_words_and_lines_and_a_page_is_drawn_on_white() {
    let content = "BT /F1 12 Tf 10 70 Td (Impression: clear) Tj 0 -16 Td (Lungs) Tj 60 0 Td (normal) Tj ET \
                   1 0 0 rg 100 10 50 20 re f";
    let document = pdf(content, FONT, "", "");
    let read = read_pdf(&document, PdfPart::Page(1, 400)).unwrap();
    assert_eq!((read.page_count, &read.texts[0][..]), (1, "Impression: clear\nLungs normal"));
    let picture = read.picture.unwrap();
    assert_eq!((picture.columns, picture.rows), (400, 200));
    // In points from the lower left corner.
    let at = |x: usize, y: usize| {
        let place = 3 * ((100 - y) * 2 * 400 + x * 2);
        picture.rgb[place..place + 3].to_vec()
    };
    assert_eq!((at(125, 20), at(180, 20)), (vec![255, 0, 0], vec![255, 255, 255]));
    let read = read_pdf(&document, PdfPart::Text(1)).unwrap();
    assert_eq!((read.texts.len(), read.picture), (1, None));
    assert_eq!(read_pdf(&document, PdfPart::Text(2)), Err(PdfError::NoSuchPage(1)));
    assert_eq!(read_pdf(&document, PdfPart::Page(0, 9)), Err(PdfError::NoSuchPage(1)));
}

#[test]
fn what_cannot_be_read_says_why() {
    // Revision 2, with a password that is not empty: its verifier matches nothing (ISO 32000-1 §7.6.3).
    let zeros = "00".repeat(32);
    let encryption = format!(
        "/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{zeros}> /U <{zeros}> >>"
    );
    let encrypted = pdf("q Q", "", "", &encryption);
    assert_eq!(read_pdf(&encrypted, PdfPart::Text(1)), Err(PdfError::Encrypted));
    for none in [&b""[..], b"none", b"%PDF-1.7"] {
        assert_eq!(read_pdf(none, PdfPart::Text(1)), Err(PdfError::Malformed));
    }
}

#[test]
fn loops_end() {
    // A form that draws itself; a page tree that holds itself.
    let form = "5 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> \
                /Length 5 >> stream\n/X Do\nendstream endobj";
    let drawn = pdf("/X Do", "/XObject << /X 5 0 R >>", form, "");
    assert!(read_pdf(&drawn, PdfPart::Page(1, 100)).is_ok());
    let text = String::from_utf8(pdf("q Q", "", "", "")).unwrap();
    let tree = text.replace("/Kids [3 0 R]", "/Kids [2 0 R]").into_bytes();
    let _ = read_pdf(&tree, PdfPart::Text(1));
}
