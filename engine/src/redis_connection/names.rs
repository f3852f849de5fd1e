//! What keys and channels are called.

/// The names of one store's keys and channels.
///
/// All of them begin with the setting `redis_prefix` and the store's own id, so
/// that shops with a store each can share a Redis. Keys of one product have its
/// id as their hash tag, so that a cluster keeps them in one slot. Channels
/// carry the number of the database, too: Redis has them for all databases
/// together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisNames {
    prefix: String,
    database: i64,
}

impl RedisNames {
    pub fn new(prefix: &str, store_id: u64) -> Self {
        Self { prefix: format!("{prefix}:{store_id:016x}"), database: 0 }
    }

    /// Those of a test: with this prefix alone.
    #[cfg(test)]
    pub fn plain(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), database: 0 }
    }

    pub(super) fn in_database(self, database: i64) -> Self {
        Self { database, ..self }
    }

    /// What all of them begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key of a product.
    pub fn of_product(&self, id: u64, what: &str) -> String {
        format!("{}:{{{id}}}:{what}", self.prefix)
    }

    /// A key to try whether keys can be written; numbers lie in other slots.
    pub(super) fn probe(&self, number: u32) -> String {
        format!("{}:probe:{number}", self.prefix)
    }

    pub fn channel(&self, what: &str) -> String {
        format!("{}:{}:{what}", self.prefix, self.database)
    }
}

#[cfg(test)]
mod tests {
    use redis::cluster_routing::Slot;

    use super::*;

    #[test]
    fn a_products_keys_lie_in_one_slot_and_those_of_products_in_many() {
        for prefix in ["stockade", "shop:{a}", "shop{", "}{"] {
            let names = RedisNames::new(prefix, 7);
            let slot = |id, what| Slot::for_key(names.of_product(id, what));
            assert_eq!(slot(7, "lock"), slot(7, "row"), "{prefix}");
        }
        let names = RedisNames::new("stockade", 7);
        assert_eq!(names.of_product(3, "lock"), "stockade:0000000000000007:{3}:lock");
        let slot = |id| Slot::for_key(names.of_product(id, "lock"));
        assert_ne!(slot(1), slot(2));
    }

    #[test]
    fn stores_have_names_of_their_own_and_databases_channels() {
        let (one, two) = (RedisNames::new("stockade", 1), RedisNames::new("stockade", 2));
        assert_ne!(one.channel("changed"), two.channel("changed"));
        assert_ne!(one.of_product(1, "row"), two.of_product(1, "row"));
        assert_ne!(one.channel("changed"), one.clone().in_database(3).channel("changed"));
    }
}
