//! Serializes maps whose keys are not strings as lists of pairs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::End;

pub fn serialize<'a, M, S: Serializer>(map: &'a M, to: S) -> Result<S::Ok, S::Error>
where
    &'a M: IntoIterator<Item: Serialize>,
{
    to.collect_seq(map)
}

pub fn deserialize<'de, M, D: Deserializer<'de>>(from: D) -> Result<M, D::Error>
where
    M: IntoIterator<Item: DeserializeOwned> + FromIterator<<M as IntoIterator>::Item>,
{
    Vec::<M::Item>::deserialize(from).map(M::from_iter)
}

/// Ends of access with when they were first seen. An earlier version kept only the ends: it saw
/// them long ago.
pub fn ends<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<End, Timestamp>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Known {
        Since((End, Timestamp)),
        Earlier(End),
    }
    let all = Vec::<Known>::deserialize(from)?.into_iter();
    Ok(all
        .map(|known| match known {
            Known::Since(known) => known,
            Known::Earlier(end) => (end, Timestamp::UNIX_EPOCH),
        })
        .collect())
}
