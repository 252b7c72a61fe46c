//! The initial state: the people of the vendor's documentation, and optional others.

use jiff::Timestamp;

use super::executed::ExecutionLog;
use super::world::{Account, AccountType, Invitation, Workspace, World};

impl World {
    /// Creates workspaces with these names. Each has the people of the vendor's documentation and
    /// `people` others.
    pub fn seeded(names: &[String], people: usize, seed: u64, now: Timestamp) -> Self {
        let mut world =
            Self { workspaces: Vec::new(), seed, uids: 0, executed: ExecutionLog::default() };
        for name in names {
            let uid = world.new_uid(name, "");
            world.workspaces.push(Workspace {
                uid,
                name: name.clone(),
                accounts: Vec::new(),
                invitations: Vec::new(),
            });
            let at = world.workspaces.len() - 1;
            world.fill(at, people, now);
        }
        world
    }

    fn fill(&mut self, at: usize, people: usize, now: Timestamp) {
        let documented = DOCUMENTED.map(|(uid, email, name, account_type)| {
            (Some(uid), email.to_owned(), name.to_owned(), account_type)
        });
        let others = (1..=people).map(|number| {
            let account_type =
                if number % 4 == 0 { AccountType::Business } else { AccountType::Developer };
            (None, format!("user{number}@acme.io"), format!("User {number}"), account_type)
        });
        for (uid, email, name, account_type) in documented.into_iter().chain(others) {
            // Uids are unique: only the first workspace has the documented ones.
            let uid = uid.filter(|_| at == 0).map(str::to_owned);
            let uid = uid.unwrap_or_else(|| self.new_uid(&at.to_string(), &email));
            let name = Some(name);
            let account = Account { uid, email, name, account_type, disabled: false };
            self.workspaces[at].accounts.push(account);
        }
        for (email, expired) in [("max@acme.io", true), ("john@acme.io", false)] {
            self.workspaces[at].invitations.push(Invitation {
                email: email.to_owned(),
                account_type: AccountType::Admin,
                sent: now,
                expired,
            });
        }
    }
}

/// The active users of the vendor's documentation, in its order.
pub(super) const DOCUMENTED: [(&str, &str, &str, AccountType); 3] = [
    (
        "1b051b1e1aaf70773789c250cd0cc40a5bf27c104d1ca2c6b765767eb53c4772",
        "alexandra@acme.io",
        "Alexandra James",
        AccountType::Admin,
    ),
    (
        "0b02bde0691e9a220f8fdbff93d992a7826c7ce7b0ea33ffc4709c6a2d219a49",
        "jonny@acme.io",
        "Jonathan Maxwell",
        AccountType::Admin,
    ),
    (
        "07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175",
        "matt@acme.io",
        "Matt McDonald",
        AccountType::Developer,
    ),
];
