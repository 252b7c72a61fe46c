//! Serializes maps whose keys are not strings as lists of pairs.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
