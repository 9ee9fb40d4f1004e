//! Statistics of the values of a column.

use serde_json::Value;

/// Numbers, or dates and times, of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statistics {
    pub(super) count: u32,
    sum: f64,
    low: f64,
    high: f64,
    /// The first and the last date or time.
    ends: Option<(String, String)>,
}

impl Statistics {
    /// Adds a value, unless it is no number, or no date or time.
    pub(super) fn add(&mut self, value: &str, is_time: bool) {
        if is_time {
            // Several values are no single time.
            if value.starts_with(|first: char| first.is_ascii_digit()) && !value.contains('\\') {
                let ends = Some((value.to_owned(), value.to_owned()));
                self.merge(&Self { count: 1, ends, ..Self::default() });
            }
        } else if let Some(number) = value.parse().ok().filter(|number: &f64| number.is_finite()) {
            let one = Self { count: 1, sum: number, low: number, high: number, ends: None };
            self.merge(&one);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        (self.low, self.high) = match self.count {
            0 => (other.low, other.high),
            _ => (self.low.min(other.low), self.high.max(other.high)),
        };
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        // Their texts (PS3.5 Table 6.2-1) are in the order of time.
        if let Some((first, last)) = &other.ends {
            let ends = self.ends.get_or_insert_with(|| (first.clone(), last.clone()));
            if *first < ends.0 {
                ends.0.clone_from(first);
            }
            if *last > ends.1 {
                ends.1.clone_from(last);
            }
        }
    }

    /// Count, first, last.
    pub(super) fn span(&self) -> [Value; 3] {
        let (first, last) = self.ends.clone().unzip();
        [self.count.into(), first.into(), last.into()]
    }

    /// Count, sum, minimum, maximum, mean; to six decimals, which sums of decimal fractions have.
    pub(super) fn cells(&self) -> [Value; 5] {
        let rounded = |number: f64| {
            let rounded = (number * 1e6).round() / 1e6;
            Value::from(if rounded.is_finite() { rounded } else { number })
        };
        let of_some = |number: f64| if self.count == 0 { Value::Null } else { rounded(number) };
        [
            self.count.into(),
            of_some(self.sum),
            of_some(self.low),
            of_some(self.high),
            of_some(self.sum / f64::from(self.count.max(1))),
        ]
    }
}
