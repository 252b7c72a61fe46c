//! `policy:`: which addresses a roster may give access to.

use std::fmt;

use super::{Member, Roster};
use crate::diagnostic::Diagnostic;
use crate::email::{Email, is_domain};
use crate::escape::is_hostile;

/// Which domains the addresses of members may have, aliases included. The default allows any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Any, if empty.
    pub domains: Vec<Domain>,
    /// Other domains, whose members need `expires`.
    pub guests: Vec<Domain>,
}

/// `acme.io`, or `*.acme.io`: its subdomains at any depth, without itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// In ASCII lower case.
    name: String,
    subdomains: bool,
}

/// An address of a member that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub address: Email,
    pub rule: Rule,
}

/// The part of the policy that does not allow an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is in none of the domains.
    Domains,
    /// It is in a domain of `guests`, and the member has no `expires`.
    Guests,
}

impl Policy {
    /// The first address of a member that is not allowed.
    pub fn breach(&self, member: &Member) -> Option<Breach> {
        let expires = member.time.as_deref().is_some_and(|period| period.ends.is_some());
        let broken = |address: &Email| {
            let contains = |domains: &[Domain]| domains.iter().any(|it| it.contains(address));
            let is_guest = contains(&self.guests);
            if contains(&self.domains) || (is_guest && expires) {
                None
            } else if is_guest {
                Some(Rule::Guests)
            } else {
                (!self.domains.is_empty()).then_some(Rule::Domains)
            }
        };
        member.addresses().find_map(|address| {
            broken(address).map(|rule| Breach { address: address.clone(), rule })
        })
    }

    /// Every member that the policy does not allow, in the order of the files.
    pub fn problems(&self, roster: &Roster) -> Vec<Diagnostic> {
        let members = roster.members().iter();
        let broken = members.filter_map(|member| {
            let Breach { address, rule } = self.breach(member)?;
            let hint = match rule {
                Rule::Domains => {
                    "correct the address, or add its domain to `policy.domains` in rosterd.yaml"
                }
                Rule::Guests => "write `expires`, the last day of access",
            };
            let problem = Diagnostic::error("policy", format!("`{address}` {rule}"));
            Some(problem.marked(member.place, "not allowed").hint(hint))
        });
        let mut problems: Vec<_> = broken.collect();
        problems.sort_by_key(|problem| problem.place);
        problems
    }
}

impl fmt::Display for Rule {
    /// What is wrong with an address, and where the rule is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domains => "is in no domain that is allowed (policy.domains in rosterd.yaml)",
            Self::Guests => "is a guest without `expires` (policy.guests in rosterd.yaml)",
        })
    }
}

impl Domain {
    /// Parses `acme.io` or `*.acme.io`. The error is what to write instead.
    pub fn parse(written: &str) -> Result<Self, String> {
        let written = written.trim_ascii();
        let name = written.strip_prefix("*.").unwrap_or(written);
        if is_domain(name) {
            let subdomains = name != written;
            return Ok(Self { name: name.to_ascii_lowercase(), subdomains });
        }
        if written.contains(is_hostile) {
            return Err("the domain without the invisible character".to_owned());
        }
        Err(match written.rsplit_once('@').map(|(_, domain)| domain.trim_ascii()) {
            Some(domain) if Self::parse(domain).is_ok() => {
                format!("`{domain}`, without the part before it")
            }
            _ => "a domain such as acme.io, or \"*.acme.io\" for its subdomains".to_owned(),
        })
    }

    /// Whether the address is in it.
    fn contains(&self, address: &Email) -> bool {
        let address = address.folded();
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        match domain.strip_suffix(&self.name) {
            Some(rest) if self.subdomains => rest.ends_with('.'),
            rest => rest == Some(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FileId, Place};
    use crate::role::Role;
    use crate::roster::{Digest, Period};

    fn policy(domains: &[&str], guests: &[&str]) -> Policy {
        let parsed =
            |written: &[&str]| written.iter().map(|it| Domain::parse(it).unwrap()).collect();
        Policy { domains: parsed(domains), guests: parsed(guests) }
    }

    fn member(addresses: &[&str], expires: bool) -> Member {
        let (email, aliases) = addresses.split_first().unwrap();
        let ends = expires.then_some(jiff::Timestamp::UNIX_EPOCH);
        let line = u32::try_from(email.len()).unwrap();
        Member {
            email: Email::remote(email),
            role: Role::Developer,
            name: None,
            aliases: aliases.iter().map(|it| Email::remote(it)).collect(),
            time: Some(Box::new(Period { ends, ..Period::default() })),
            place: Place { file: FileId(0), line, column: 1, start: line, end: line },
        }
    }

    #[test]
    fn an_address_is_in_a_domain_whatever_its_case() {
        for (domain, inside, outside) in [
            ("Acme.IO", &["matt@acme.io", "matt@ACME.io"][..], &["a@eu.acme.io", "a@xacme.io"][..]),
            ("*.acme.io", &["a@eu.acme.io", "a@b.EU.acme.IO"], &["a@acme.io", "a@xacme.io"]),
            (" acme.io ", &["a@acme.io"], &["a@acme.io.evil.io", "a@io", "acme.io@x.io"]),
        ] {
            let domain = Domain::parse(domain).unwrap();
            for address in inside {
                assert!(domain.contains(&Email::remote(address)), "{address}");
            }
            for address in outside {
                assert!(!domain.contains(&Email::remote(address)), "{address}");
            }
        }
    }

    #[test]
    fn what_is_no_domain_is_answered_with_one() {
        for (written, wanted) in [
            ("@acme.io", "`acme.io`"),
            ("*@acme.io", "`acme.io`"),
            ("matt@acme.io", "`acme.io`"),
            ("*@*.acme.io", "`*.acme.io`"),
            ("acme\u{200b}.io", "without the invisible"),
            ("acme.io\u{a0}", "without the invisible"),
            ("", "such as"),
            ("  ", "such as"),
            ("acme", "such as"),
            ("*", "such as"),
            ("*.io", "such as"),
            ("*acme.io", "such as"),
            ("*.*.acme.io", "such as"),
            ("acme.io.", "such as"),
            ("https://acme.io/", "such as"),
            ("münchen.de", "such as"),
        ] {
            let error = Domain::parse(written).unwrap_err();
            assert!(error.contains(wanted), "{written:?}: {error}");
        }
    }

    #[test]
    fn every_address_of_a_member_must_be_allowed() {
        let (none, domains) = (&[][..], &["acme.io", "*.acme.io"][..]);
        let guests = &["partner.com", "eu.acme.io"][..];
        for (domains, guests, addresses, expires, wanted) in [
            (none, none, &["a@evil.io"][..], false, None),
            (domains, none, &["a@acme.io", "a@eu.acme.io"], false, None),
            (domains, none, &["a@acme.oi"], true, Some(("a@acme.oi", Rule::Domains))),
            (domains, none, &["a@acme.io", "a@home.me"], true, Some(("a@home.me", Rule::Domains))),
            (domains, guests, &["a@partner.com"], true, None),
            (domains, guests, &["a@partner.com"], false, Some(("a@partner.com", Rule::Guests))),
            (domains, guests, &["a@acme.io", "a@partner.com"], true, None),
            (domains, guests, &["a@eu.acme.io"], false, None),
            (domains, guests, &["a@x.partner.com"], true, Some(("a@x.partner.com", Rule::Domains))),
            (none, guests, &["a@evil.io"], false, None),
            (none, guests, &["a@evil.io", "A@Partner.com"], true, None),
            (none, guests, &["A@Partner.com"], false, Some(("a@partner.com", Rule::Guests))),
        ] {
            let breach = policy(domains, guests).breach(&member(addresses, expires));
            let wanted = wanted.map(|(it, rule)| Breach { address: Email::remote(it), rule });
            assert_eq!(breach, wanted, "{addresses:?} {domains:?} {guests:?}");
        }
    }

    #[test]
    fn each_member_is_reported_once_in_the_order_of_the_file() {
        let members = [
            &["zoe@evil.io", "zo@evil.io"][..],
            &["anna@evil.io"],
            &["matt@acme.io"],
            &["guest@partner.com"],
        ];
        let members = members.iter().map(|addresses| member(addresses, false)).collect();
        let roster = Roster::new(members, Vec::new(), Vec::new(), Digest::default()).unwrap();
        let problems = policy(&["acme.io"], &["partner.com"]).problems(&roster);
        let messages: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert_eq!(
            messages,
            [
                "`zoe@evil.io` is in no domain that is allowed (policy.domains in rosterd.yaml)",
                "`anna@evil.io` is in no domain that is allowed (policy.domains in rosterd.yaml)",
                "`guest@partner.com` is a guest without `expires` (policy.guests in rosterd.yaml)",
            ]
        );
        assert!(policy(&[], &[]).problems(&roster).is_empty());
    }
}
