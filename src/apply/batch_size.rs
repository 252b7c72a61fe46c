//! How many changes a request carries, after the server has refused a document.

/// Searches for the largest size that the server accepts. A refusal of a size that was accepted
/// before is the fault of a change.
#[derive(Debug)]
pub(super) struct BatchSize {
    /// The size as long as nothing has been refused.
    planned: usize,
    /// The largest size that was accepted.
    accepted: usize,
    /// The smallest size that was refused.
    refused: Option<usize>,
}

impl BatchSize {
    /// `planned` is at least 1.
    pub fn new(planned: usize) -> Self {
        Self { planned, accepted: 0, refused: None }
    }

    /// The size of the next request, at least 1.
    pub fn next(&self) -> usize {
        self.refused.map_or(self.planned, |refused| self.accepted.midpoint(refused).max(1))
    }

    /// Whether the next request tries a size. Several in flight would be refused together.
    pub fn is_trial(&self) -> bool {
        self.refused.is_some_and(|refused| self.accepted + 1 < refused)
    }

    pub fn accept(&mut self, size: usize) {
        self.accepted = self.accepted.max(size);
        self.refused = self.refused.filter(|refused| *refused > self.accepted);
    }

    /// Whether the size may be the reason.
    pub fn refuse(&mut self, size: usize) -> bool {
        if size <= self.accepted {
            return false;
        }
        self.refused = Some(self.refused.map_or(size, |refused| refused.min(size)));
        true
    }

    /// The size to begin with from now on, if one was refused.
    pub fn learned(&self) -> Option<usize> {
        self.refused.map(|_| self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_that_is_accepted_is_found_with_few_requests() {
        for (planned, limit) in [(50, 10), (50, 1), (50, 49), (25, 24), (2, 1), (1_000, 333)] {
            let mut size = BatchSize::new(planned);
            let mut tries = 0;
            while tries == 0 || size.is_trial() {
                match size.next() {
                    next if next <= limit => size.accept(next),
                    next => assert!(size.refuse(next)),
                }
                tries += 1;
            }
            assert_eq!(size.learned(), Some(limit));
            assert!(tries <= 11, "{tries} for {limit} of {planned}");
        }
    }

    #[test]
    fn a_change_at_fault_makes_no_size_too_large() {
        let mut size = BatchSize::new(50);
        size.accept(50);
        assert!(!size.refuse(50) && !size.refuse(1));
        assert_eq!((size.next(), size.is_trial(), size.learned()), (50, false, None));
        let mut size = BatchSize::new(50);
        assert!(size.refuse(50));
        assert_eq!((size.next(), size.is_trial()), (25, true));
        size.accept(50);
        assert_eq!((size.next(), size.learned()), (50, None), "it was in flight");
    }
}
