//! The real run over a world.

use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::clock::Clock;
use rosterd::diagnostic::Sources;
use rosterd::reconcile::{Carry, Loaded, Look, Setting, Target, reconcile};
use rosterd::report::{RunReport, Trigger};
use tokio_util::sync::CancellationToken;

use super::directory::{Fake, Standing};
use super::world::World;

/// One run about to start.
#[must_use]
pub struct Run<'a> {
    target: Target,
    loaded: Loaded,
    pub cancel: CancellationToken,
    clock: &'a dyn Clock,
    seen: &'a (dyn Fn(&Look) + Sync),
}

impl<'a> Run<'a> {
    /// In batches of two, two at once.
    pub fn of(world: &World) -> Self {
        let target = Target {
            workspace: "acme".into(),
            users: Vec::new(),
            base: std::path::PathBuf::new(),
            zone: TimeZone::UTC,
            on_removed: world.on_removed,
            limits: world.limits.clone(),
            sending: Sending { concurrency: 2, batch: 2 },
        };
        let roster = world.roster();
        let loaded = Loaded { roster, sources: Sources::default(), warnings: Vec::new() };
        let cancel = CancellationToken::new();
        Self { target, loaded, cancel, clock: &Standing, seen: &|_| {} }
    }

    pub fn sending(mut self, concurrency: usize, batch: usize) -> Self {
        self.target.sending = Sending { concurrency, batch };
        self
    }

    pub fn seen(mut self, seen: &'a (dyn Fn(&Look) + Sync)) -> Self {
        self.seen = seen;
        self
    }

    pub fn clock(mut self, clock: &'a dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    pub async fn go(&self, fake: &Fake, carry: &mut Carry) -> RunReport {
        let setting = Setting {
            clock: self.clock,
            cancel: &self.cancel,
            seen: self.seen,
            progress: &|_, _| {},
        };
        let (target, loaded) = (&self.target, &self.loaded);
        reconcile(fake, target, loaded, false, Trigger::Start, carry, &setting).await
    }

    /// The same outside of a runtime.
    pub fn blocking(&self, fake: &Fake) -> RunReport {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(self.go(fake, &mut Carry::default()))
    }
}
