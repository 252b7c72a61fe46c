//! A progress bar for an apply that takes a while, on a terminal only.

use std::io::IsTerminal;
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// Minimum number of changes for a bar; fewer are done before it could be read.
const MIN_CHANGES: usize = 50;

/// The bar of one apply.
#[derive(Debug, Default)]
pub struct Progress {
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    /// `done` of `total` changes have an outcome.
    pub fn update(&self, done: usize, total: usize) {
        if total < MIN_CHANGES || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::new(total as u64).with_finish(ProgressFinish::AndClear);
            let template =
                "applying {bar:30} {pos}/{len}  {elapsed} elapsed, about {eta} remaining";
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_position(done as u64);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}
