//! Bytes to text: UTF-8, else UTF-16 with a byte order mark, else Latin-1, which never fails.

/// How a file's bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16,
    /// The bytes are no UTF-8: read as Windows-1252, which Spanish editors wrote.
    Latin1,
}

/// The text without its byte order mark, and how it was encoded.
pub fn decode(bytes: &[u8]) -> (String, Encoding) {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        (String::from_utf16_lossy(&units), Encoding::Utf16)
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => decode(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), Encoding::Utf8),
            Err(_) => (bytes.iter().map(|b| latin1(*b)).collect(), Encoding::Latin1),
        },
    }
}

/// A text file has no NUL bytes, unless it is UTF-16.
pub fn is_binary(bytes: &[u8]) -> bool {
    !matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) && bytes.iter().take(8192).any(|b| *b == 0)
}

/// Windows-1252 differs from Latin-1 in 0x80 to 0x9F only: quotes, dashes and the euro sign.
fn latin1(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_that_editors_write() {
        assert_eq!(decode("peñón".as_bytes()), ("peñón".to_owned(), Encoding::Utf8));
        assert_eq!(decode(b"\xEF\xBB\xBFa: 1"), ("a: 1".to_owned(), Encoding::Utf8));
        assert_eq!(decode(b"pe\xF1\xF3n \x80"), ("peñón €".to_owned(), Encoding::Latin1));
        assert_eq!(decode(b"\xFF\xFEa\x00\xF1\x00"), ("añ".to_owned(), Encoding::Utf16));
        assert_eq!(decode(b"\xFE\xFF\x00a"), ("a".to_owned(), Encoding::Utf16));
    }

    #[test]
    fn binary_is_told_from_text() {
        assert!(is_binary(b"\x7fELF\x00\x00"));
        assert!(!is_binary(b"\xFF\xFEa\x00"));
        assert!(!is_binary("ñ".as_bytes()));
    }
}
