//! Lossless JPEG (ITU-T T.81 Annex H), written for tests by the letter of the standard: every
//! predictor, point transform and restart interval of whole rows.

/// How a lossless JPEG stream is coded.
#[derive(Debug, Clone, Copy)]
pub struct LosslessJpeg {
    /// Rows of the image.
    pub rows: u16,
    /// Columns of the image.
    pub columns: u16,
    /// Components, interleaved in one scan.
    pub components: u8,
    /// Bits of a sample, 2 to 16.
    pub precision: u8,
    /// Selection value of the predictor, 1 to 7 (Table H.1).
    pub predictor: u8,
    /// Low bits that are not coded.
    pub point_transform: u8,
    /// Rows between restart markers; 0 for none.
    pub restart_rows: u16,
}

/// Categories of differences (Table H.2); each has a Huffman code of so many bits here: its number.
const CATEGORIES: u8 = 17;
const CODE_BITS: u8 = 5;

impl LosslessJpeg {
    /// Encodes samples that are interleaved by pixel.
    ///
    /// # Panics
    /// When there are fewer `samples` than the shape has.
    #[must_use]
    pub fn encode(&self, samples: &[u16]) -> Vec<u8> {
        let mut stream = vec![0xFF, 0xD8];
        let mut frame = vec![self.precision];
        frame.extend(self.rows.to_be_bytes());
        frame.extend(self.columns.to_be_bytes());
        frame.push(self.components);
        frame.extend((1..=self.components).flat_map(|number| [number, 0x11, 0]));
        segment(&mut stream, 0xC3, &frame);
        let mut table = vec![0; 17];
        table[usize::from(CODE_BITS)] = CATEGORIES;
        table.extend(0..CATEGORIES);
        segment(&mut stream, 0xC4, &table);
        if self.restart_rows > 0 {
            segment(&mut stream, 0xDD, &(self.restart_rows * self.columns).to_be_bytes());
        }
        let mut scan = vec![self.components];
        scan.extend((1..=self.components).flat_map(|number| [number, 0]));
        scan.extend([self.predictor, 0, self.point_transform]);
        segment(&mut stream, 0xDA, &scan);
        self.scan(samples, &mut stream);
        stream.extend([0xFF, 0xD9]);
        stream
    }

    fn scan(&self, samples: &[u16], stream: &mut Vec<u8>) {
        let components = usize::from(self.components);
        let width = usize::from(self.columns) * components;
        let coded: Vec<i32> =
            samples.iter().map(|v| i32::from(*v >> self.point_transform)).collect();
        let mut bits = Bits::default();
        for row in 0..usize::from(self.rows) {
            let since_restart = match usize::from(self.restart_rows) {
                0 => row,
                interval => row % interval,
            };
            if row > 0 && since_restart == 0 {
                bits.finish(stream);
                let number = row / usize::from(self.restart_rows) - 1;
                stream.extend([0xFF, 0xD0 + u8::try_from(number % 8).unwrap_or_default()]);
            }
            for at in row * width..(row + 1) * width {
                let first_column = at - row * width < components;
                let predicted = match (since_restart == 0, first_column) {
                    (true, true) => 1 << (self.precision - self.point_transform - 1),
                    (true, false) => coded[at - components],
                    (false, true) => coded[at - width],
                    (false, false) => self.predict(
                        coded[at - components],
                        coded[at - width],
                        coded[at - width - components],
                    ),
                };
                bits.difference(coded[at] - predicted, stream);
            }
        }
        bits.finish(stream);
    }

    /// The neighbors are to the left, above, and above to the left.
    fn predict(&self, left: i32, above: i32, corner: i32) -> i32 {
        match self.predictor {
            1 => left,
            2 => above,
            3 => corner,
            4 => left + above - corner,
            5 => left + ((above - corner) >> 1),
            6 => above + ((left - corner) >> 1),
            _ => (left + above) >> 1,
        }
    }
}

fn segment(stream: &mut Vec<u8>, marker: u8, content: &[u8]) {
    stream.extend([0xFF, marker]);
    stream.extend(u16::try_from(content.len() + 2).unwrap_or_default().to_be_bytes());
    stream.extend(content);
}

/// Bits that wait for their byte.
#[derive(Default)]
struct Bits {
    waiting: u64,
    count: u32,
}

impl Bits {
    /// Differences are taken modulo 65,536 (H.1.2.1).
    fn difference(&mut self, difference: i32, stream: &mut Vec<u8>) {
        let difference = (difference + 32_767).rem_euclid(65_536) - 32_767;
        let category = 32 - difference.unsigned_abs().leading_zeros();
        self.put(category, CODE_BITS.into(), stream);
        if category < 16 {
            let negative = i32::from(difference < 0);
            let low = (difference - negative).cast_unsigned() & ((1 << category) - 1);
            self.put(low, category, stream);
        }
    }

    fn put(&mut self, value: u32, count: u32, stream: &mut Vec<u8>) {
        self.waiting = (self.waiting << count) | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.waiting >> self.count).to_le_bytes()[0];
            stream.push(byte);
            if byte == 0xFF {
                stream.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn finish(&mut self, stream: &mut Vec<u8>) {
        let missing = (8 - self.count % 8) % 8;
        self.put((1 << missing) - 1, missing, stream);
    }
}
