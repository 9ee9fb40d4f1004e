//! The main header of a JPEG 2000 codestream, read by ISO/IEC 15444-1 Annex A and 15444-15 Annex A.

/// What the main header says.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the main header")]
pub(crate) struct Codestream {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Precision in bits and sign of each component.
    pub(crate) components: Vec<(u8, bool)>,
    /// Whether there is a CAP marker segment with the bit of Part 15 (HTJ2K).
    pub(crate) high_throughput: bool,
    /// Order of progression; 2 is resolution, position, component, layer.
    pub(crate) progression: u8,
    /// Whether the components are transformed together.
    pub(crate) multiple_component: bool,
    pub(crate) levels: u8,
    /// Width and height of a code block.
    pub(crate) block: (u32, u32),
    /// Whether code blocks are coded as Part 15 says.
    pub(crate) ht_blocks: bool,
    /// Whether the wavelet is the reversible 5-3 one.
    pub(crate) reversible: bool,
    /// Whether there is a TLM marker segment.
    pub(crate) tile_part_lengths: bool,
}

impl Codestream {
    /// Reads the main header, up to the first tile-part; panics where it breaks a rule. The codestream
    /// may be the last box of a JP2 file.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut boxes = bytes.windows(8);
        let bytes = match boxes.position(|head| head == b"jp2c\xff\x4f\xff\x51") {
            Some(at) => &bytes[at + 4..],
            None => bytes,
        };
        assert_eq!(bytes[..2], [0xff, 0x4f], "SOC comes first");
        assert_eq!(bytes[2..4], [0xff, 0x51], "SIZ comes second");
        assert_eq!(bytes[bytes.len() - 2..], [0xff, 0xd9], "EOC comes last");
        let mut found = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            high_throughput: false,
            progression: 0xff,
            multiple_component: false,
            levels: 0xff,
            block: (0, 0),
            ht_blocks: false,
            reversible: false,
            tile_part_lengths: false,
        };
        let mut at = 2;
        loop {
            let marker = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            if marker == 0xff90 {
                return found;
            }
            let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            found.segment(marker, &bytes[at + 4..at + 2 + length]);
            at += 2 + length;
        }
    }

    fn segment(&mut self, marker: u16, body: &[u8]) {
        let long = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        match marker {
            0xff51 => {
                self.width = long(2) - long(10);
                self.height = long(6) - long(14);
                let count = usize::from(u16::from_be_bytes([body[34], body[35]]));
                let depths = (0..count).map(|component| body[36 + 3 * component]);
                self.components =
                    depths.map(|ssiz| ((ssiz & 0x7f) + 1, ssiz & 0x80 != 0)).collect();
            }
            // Bit 15 from the top of Pcap stands for Part 15.
            0xff50 => self.high_throughput = long(0) & (1 << (32 - 15)) != 0,
            0xff52 => {
                self.progression = body[1];
                self.multiple_component = body[4] == 1;
                self.levels = body[5];
                self.block = (1 << (body[6] + 2), 1 << (body[7] + 2));
                self.ht_blocks = body[8] & 0x40 != 0;
                self.reversible = body[9] == 1;
            }
            0xff55 => self.tile_part_lengths = true,
            _ => {}
        }
    }

    /// Width and height of the smallest resolution.
    pub(crate) fn smallest(&self) -> (u32, u32) {
        let scale = 1 << self.levels;
        (self.width.div_ceil(scale), self.height.div_ceil(scale))
    }
}
