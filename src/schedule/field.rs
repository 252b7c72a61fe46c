//! Parses one field of a schedule: lists, ranges and steps.

use super::CronError;

/// The allowed values of a field.
pub(super) struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    /// Names of the values, starting at `low`.
    names: &'static [&'static str],
    /// The value of `low` in the crate `cron`.
    crate_low: u8,
}

pub(super) const MINUTE: Field = Field::plain("minute", 0, 59);
pub(super) const HOUR: Field = Field::plain("hour", 0, 23);
pub(super) const DAY: Field = Field::plain("day of month", 1, 31);
pub(super) const MONTH: Field = Field {
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    ..Field::plain("month", 1, 12)
};
/// Sunday is 0 or 7.
pub(super) const WEEKDAY: Field = Field {
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    crate_low: 1,
    ..Field::plain("weekday", 0, 7)
};

impl Field {
    const fn plain(name: &'static str, low: u8, high: u8) -> Self {
        Self { name, low, high, names: &[], crate_low: low }
    }

    /// Parses a field into the list of values that the crate `cron` expects.
    pub(super) fn parse(&self, text: &str) -> Result<String, CronError> {
        let mut chosen = 0_u64;
        for part in text.split(',') {
            chosen |= self.part(part)?;
        }
        if self.high == 7 && chosen & 1 << 7 != 0 {
            // 7 is Sunday, the same as 0.
            chosen = chosen & !(1 << 7) | 1;
        }
        let values = (self.low..=self.high).filter(|value| chosen & 1 << value != 0);
        let written = values.map(|value| (value - self.low + self.crate_low).to_string());
        Ok(written.collect::<Vec<_>>().join(","))
    }

    /// Parses `*`, a value or a range. `*` and a range may have a step.
    fn part(&self, part: &str) -> Result<u64, CronError> {
        let stepped = part.split_once('/');
        let (range, step) = stepped.map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.last()),
            Some((first, last)) => self.range(part, first, last)?,
            None if step.is_some() => {
                let last = self.last();
                return Err(self.error(part, format!("has no range; write `{range}-{last}/…`")));
            }
            None => {
                let value = self.value(part, range)?;
                (value, value)
            }
        };
        let step = match step.map(str::parse::<u8>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(self.error(part, "has an invalid step; use 1 or more".into())),
        };
        Ok((first..=last).step_by(step.into()).fold(0, |set, value| set | 1 << value))
    }

    fn range(&self, part: &str, first: &str, last: &str) -> Result<(u8, u8), CronError> {
        let (first, last) = (self.value(part, first)?, self.value(part, last)?);
        // A range may end on Sunday: SAT-SUN is 6-7.
        let last = if self.high == 7 && last == 0 && first > 0 { 7 } else { last };
        if first > last {
            let problem = "is reversed; write two ranges, separated by a comma";
            return Err(self.error(part, problem.into()));
        }
        Ok((first, last))
    }

    fn value(&self, part: &str, text: &str) -> Result<u8, CronError> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(at) = named {
            return Ok(self.low + u8::try_from(at).unwrap_or_default());
        }
        match text.parse::<u8>() {
            Ok(value) if (self.low..=self.high).contains(&value) => Ok(value),
            _ => {
                let (low, high) = (self.low, self.high);
                let names = match self.names {
                    [first, .., last] => format!(" or a name from {first} to {last}"),
                    _ => String::new(),
                };
                let hint = if text == "?" { "; for any value write `*`" } else { "" };
                let problem = format!("is invalid; use a number from {low} to {high}{names}{hint}");
                Err(self.error(part, problem))
            }
        }
    }

    /// The last value, without the second number for Sunday.
    fn last(&self) -> u8 {
        if self.high == 7 { 6 } else { self.high }
    }

    fn error(&self, part: &str, problem: String) -> CronError {
        CronError::Field { field: self.name, part: part.to_owned(), problem }
    }
}
