//! A writer of stored and deflated zip files, with optional false declarations.

use std::io::Write;

/// An entry to write.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub data: Vec<u8>,
    pub deflate: bool,
    /// Declared instead of the actual unpacked size.
    pub size: Option<u32>,
    /// Declared instead of the actual method (0 stored, 8 deflated).
    pub method: Option<u16>,
}

impl Entry {
    pub fn stored(name: &str, data: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), data: data.into(), deflate: false, size: None, method: None }
    }

    pub fn deflated(name: &str, data: impl Into<Vec<u8>>) -> Self {
        Self { deflate: true, ..Self::stored(name, data) }
    }
}

/// The bytes of a zip file of these entries, with correct checksums.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let mut crc = flate2::Crc::new();
        crc.update(&entry.data);
        let packed = if entry.deflate {
            let mut to =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            to.write_all(&entry.data).expect("writing to memory");
            to.finish().expect("writing to memory")
        } else {
            entry.data.clone()
        };
        let method = entry.method.unwrap_or(if entry.deflate { 8 } else { 0 });
        let size = entry.size.unwrap_or(entry.data.len() as u32);
        let offset = out.len() as u32;
        let mut common = Vec::new();
        common.extend(20_u16.to_le_bytes()); // version needed
        common.extend(0x0800_u16.to_le_bytes()); // flags: UTF-8 names
        common.extend(method.to_le_bytes());
        common.extend([0, 0, 0x21, 0]); // 1980-01-01
        common.extend(crc.sum().to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend([0, 0]); // no extra field
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(entry.name.as_bytes());
        out.extend(&packed);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]); // no comment, disk 0, no attributes
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(
        [(entries.len() as u16).to_le_bytes(), (entries.len() as u16).to_le_bytes()].concat(),
    );
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}
