//! Serializes maps whose keys are not strings as lists of pairs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::End;

pub fn serialize<'a, M, K, V, S>(map: &'a M, to: S) -> Result<S::Ok, S::Error>
where
    &'a M: IntoIterator<Item = (&'a K, &'a V)>,
    K: Serialize + 'a,
    V: Serialize + 'a,
    S: Serializer,
{
    to.collect_seq(map)
}

pub fn deserialize<'de, M, K, V, D>(from: D) -> Result<M, D::Error>
where
    M: FromIterator<(K, V)>,
    K: DeserializeOwned,
    V: DeserializeOwned,
    D: Deserializer<'de>,
{
    Vec::<(K, V)>::deserialize(from).map(M::from_iter)
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
